//! Skeletons in bash.

use super::{Chunk, Skeleton};

pub(super) const SHEBANGS: Chunk = &["#!/bin/bash", "#!/usr/bin/env bash", "#!/bin/bash", "#!/usr/bin/bash"];
pub(super) const HEADERS: Chunk = &[
    "set -euo pipefail",
    "set -euo pipefail",
    "set -eu -o pipefail",
    "set -eu",
    "set -o errexit -o nounset",
    "set -euo pipefail\nIFS=$'\\n\\t'",
];

const TECH: &[&str] = &["ops", "dev"];

/// All of them.
#[rustfmt::skip]
pub(super) const ALL: &[Skeleton] = &[
    // Backup of a folder with generations.
    Skeleton { stems: &["backup", "snapshot", "archive", "mirror", "rotate"], fields: &[], chunks: &[
        &["`src`=`dir`", "`src`=\"`dir`\"", "`src`=${1:-`dir`}", "`src`=\"$HOME/`home`\""],
        &["`dst`=`dir:b`", "`dst`=\"`dir:b`\"", "`dst`=${2:-`dir:b`}", "`dst`=\"$HOME/`home:b`\""],
        &["`age`=`few`", "`age`=${KEEP:-`few`}", ""],
        &["`ts`=$(date +`fmt`)", "`ts`=\"$(date '+`fmt`')\""],
        &[""],
        &["mkdir -p \"$`dst`\"", "[ -d \"$`dst`\" ] || mkdir -p \"$`dst`\"", "install -d \"$`dst`\""],
        &[
            "tar -czf \"$`dst`/`stem`-$`ts`.tar.gz\" -C \"$`src`\" .", "tar czf \"$`dst`/$`ts`-`stem`.tgz\" \"$`src`\" 2>/dev/null",
            "tar --exclude='*.`ext`' -cJf \"$`dst`/`stem`.$`ts`.tar.xz\" -C \"$`src`\" .", "cp -a \"$`src`\" \"$`dst`/`stem`-$`ts`\"",
        ],
        &[
            "ls -1t \"$`dst`\" | tail -n +`few:b` | while read -r `f`; do\n    rm -rf -- \"${`dst`:?}/$`f`\"\ndone",
            "find \"$`dst`\" -maxdepth 1 -name '`stem`*' -mtime +`days` -delete",
            "for `f` in $(ls -1t \"$`dst`\" | sed '1,`few:b`d'); do\n    rm -r -- \"${`dst`:?}/$`f`\"\ndone",
        ],
        &["", "du -sh \"$`dst`\"", "echo \"`stem`: $(ls \"$`dst`\" | wc -l) in $`dst`\""],
    ] },
    // Disk check.
    Skeleton { stems: &["diskcheck", "check", "usage", "monitor"], fields: TECH, chunks: &[
        &["`lim`=${1:-`full`}", "`lim`=`full`", "readonly `lim`=`full`"],
        &["`rc`=0"],
        &[""],
        &[
            "while read -r `fs` `pct`; do\n    `pct`=${`pct`%\\%}\n    if [ \"$`pct`\" -ge \"$`lim`\" ]; then\n        echo \"$(hostname -s) $`fs`: $`pct`% `alarm`\"\n        `rc`=1\n    fi\ndone < <(df --output=target,pcent -x tmpfs | tail -n +2)",
            "for `fs` in / /home /var `top`; do\n    [ -d \"$`fs`\" ] || continue\n    `pct`=$(df -P \"$`fs`\" | awk 'NR==2 {print $5}' | tr -d %)\n    if (( `pct` > `lim` )); then\n        printf '%-`width`s %3d%% `alarm`\\n' \"$`fs`\" \"$`pct`\"\n        `rc`=$(( `rc` + 1 ))\n    fi\ndone",
            "df -P -x tmpfs -x devtmpfs | awk -v `lim`=\"$`lim`\" 'NR>1 { sub(/%/, \"\", $5); if ($5+0 > `lim`) print $6, $5 \"% `alarm`\" }' > /tmp/df.$$\nif [ -s /tmp/df.$$ ]; then\n    cat /tmp/df.$$\n    `rc`=1\nfi\nrm -f /tmp/df.$$",
        ],
        &["", "[ \"$`rc`\" -gt 0 ] || echo \"`outcome` (limit $`lim`)\""],
        &["exit \"$`rc`\"", "exit $`rc`"],
    ] },
    // Log grep.
    Skeleton { stems: &["logscan", "scan", "tail", "watch", "parse"], fields: TECH, chunks: &[
        &["`log`=${1:-`logname`}", "`log`=`logname`", "`log`=\"${1:-`logname`}\""],
        &["`pat`='`word`|`word:b`'", "`pat`=\"${2:-`word`}\"", "`pat`='`word`.*`word:b`'", "`pat`=`word`"],
        &[""],
        &["[ -r \"$`log`\" ] || { echo \"cannot read $`log`\" >&2; exit 1; }", "if [ ! -r \"$`log`\" ]; then\n    echo \"$0: no access to $`log`\" >&2\n    exit 1\nfi", ""],
        &[
            "`n`=$(grep -Eic \"$`pat`\" \"$`log`\" || true)\necho \"$`log`: $`n` x $`pat`\"",
            "`n`=$(tail -n `mb`0 \"$`log`\" | grep -E -c -- \"$`pat`\" || :)\nprintf '%s %s\\n' \"$`n`\" \"$`pat`\"",
            "`n`=$(zgrep -Ehi \"$`pat`\" \"$`log`\"* | wc -l)\necho \"`stem` $`n`\"",
        ],
        &[
            "grep -Ei \"$`pat`\" \"$`log`\" | tail -n `width` || true",
            "if [ \"$`n`\" -gt `full` ]; then\n    grep -E \"$`pat`\" \"$`log`\" | cut -c1-1`full:b` | tail -`few`\nfi",
            "grep -Eo \"$`pat`\" \"$`log`\" | sort | uniq -c | sort -rn | head -n `few` || true",
            "awk -v `pat`=\"$`pat`\" '$0 ~ `pat` { print $1, $2, $`column` }' \"$`log`\" | uniq -c | tail -n `width`",
        ],
    ] },
    // Sum of a csv column.
    Skeleton { stems: &["sum", "count", "stats"], fields: &[], chunks: &[
        &["`log`=${1:?usage: $0 file.csv}", "`log`=${1:-$HOME/`home`/`stem`.csv}", "`log`=$HOME/`home`/`stem`.csv"],
        &["`key`=${2:-`column`}", "`key`=`column`"],
        &[""],
        &[
            "awk -F';' -v `key`=\"$`key`\" 'NR > 1 { gsub(/,/, \".\", $`key`); `val` += $`key` } END { printf \"%.2f `col`\\n\", `val` }' \"$`log`\"",
            "`n`=$(cut -d';' -f\"$`key`\" \"$`log`\" | tail -n +2 | tr , . | paste -sd+ - | bc)\necho \"`col` $`n`\"",
            "`val`=0\nwhile IFS=';' read -r -a `ln`; do\n    `val`=$(( `val` + ${`ln`[`key` - 1]%%[.,]*} ))\ndone < <(tail -n +2 \"$`log`\")\necho \"`grp`: $`val` `col`\"",
        ],
        &["", "echo \"$(wc -l < \"$`log`\") `grp` lines\"", "sort -t';' -k\"$`key`\" -rn \"$`log`\" | head -n `few`"],
    ] },
    // Certificate expiry.
    Skeleton { stems: &["certcheck", "check", "verify"], fields: TECH, chunks: &[
        &["`list`=(`hosts`)", "`list`=(`host` `host:b`)"],
        &["`age`=`days`", "`age`=${1:-`days`}"],
        &["`ts`=$(date +%s)"],
        &[""],
        &["for `srv` in \"${`list`[@]}\"; do"],
        &[
            "    `val`=$(echo | openssl s_client -connect \"$`srv`:`port`\" -servername \"$`srv`\" 2>/dev/null | openssl x509 -noout -enddate | cut -d= -f2)",
            "    `val`=$(timeout `secs` openssl s_client -connect \"$`srv`:`port`\" < /dev/null 2>/dev/null | openssl x509 -noout -enddate | sed 's/.*=//')",
        ],
        &["    [ -n \"$`val`\" ] || { echo \"$`srv`: no answer\"; continue; }", "    if [ -z \"$`val`\" ]; then\n        echo \"$`srv` - nothing on `port`\"\n        continue\n    fi"],
        &["    `n`=$(( ($(date -d \"$`val`\" +%s) - `ts`) / 86400 ))"],
        &["    (( `n` < `age` )) && echo \"$`srv`: $`n` days left\"", "    if [ \"$`n`\" -lt \"$`age`\" ]; then\n        echo \"$`srv` $`n`d (`alarm`)\"\n    fi", "    printf '%-`width`s %4d\\n' \"$`srv`\" \"$`n`\""],
        &["done"],
        &["exit 0", "", "echo \"`outcome` after $SECONDS s\""],
    ] },
    // Rename files.
    Skeleton { stems: &["rename", "fix", "tidy", "convert"], fields: &[], chunks: &[
        &["cd \"${1:-$HOME/`home`}\"", "cd \"$HOME/`home`\" || exit 1", "cd `dir` || exit 1"],
        &["`n`=0"],
        &["shopt -s nullglob", "shopt -s nullglob nocaseglob", "shopt -s nullglob extglob"],
        &[""],
        &["for `f` in *.`ext` *.`ext:b`; do", "for `f` in *' '*; do", "for `f` in `stem`*.`ext`; do"],
        &[
            "    `new`=$(echo \"$`f`\" | tr 'A-Z ' 'a-z-')", "    `new`=${`f`// /_}", "    `new`=\"`stem`-$(date -r \"$`f`\" +`fmt`)-${`f`##*-}\"",
            "    `new`=$(printf '%s' \"${`f`,,}\" | sed 's/[^a-z0-9._-]/-/g')",
        ],
        &["    [ \"$`f`\" = \"$`new`\" ] && continue", "    if [ -e \"$`new`\" ]; then\n        echo \"$`new` exists\" >&2\n        continue\n    fi", "    [ -e \"$`new`\" ] && { echo \"skip $`f`\"; continue; }"],
        &["    mv -n -- \"$`f`\" \"$`new`\"", "    mv -nv -- \"$`f`\" \"$`new`\"", "    mv -i -- \"$`f`\" \"$`new`\""],
        &["    `n`=$((`n` + 1))"],
        &["done"],
        &["echo \"$`n` `leaf` renamed\"", "echo \"`stem`: $`n`\"", "printf '%d `outcome`\\n' \"$`n`\""],
    ] },
    // Old files go.
    Skeleton { stems: &["cleanup", "purge", "prune", "tidy"], fields: &[], chunks: &[
        &["`src`=${1:-`dir`}", "`src`=\"$HOME/`home`\"", "`src`=`dir`"],
        &["`age`=${2:-`days`}", "`age`=`days`"],
        &[""],
        &["`fun`() {\n    find \"$`src`\" -xdev -type f -name '*.`ext`' -mtime +\"$`age`\" \"$@\"\n}", "`fun`() {\n    find \"$1\" -type f \\( -name '*.`ext`' -o -name '*.`ext:b`' \\) -mtime \"+$`age`\" \"${@:2}\"\n}"],
        &[""],
        &[
            "`n`=$(`fun` \"$`src`\" 2>/dev/null | wc -l)\n[ \"$`n`\" -eq 0 ] && { echo \"`outcome`: $`src`\"; exit 0; }",
            "`n`=$(find \"$`src`\" -type f -mtime +\"$`age`\" | wc -l)\necho \"$`n` files in $`src` older than $`age` days\"",
        ],
        &["if [ \"${3:-}\" = -f ]; then\n    find \"$`src`\" -type f -mtime +\"$`age`\" -name '*.`ext`' -delete\nelse\n    find \"$`src`\" -type f -mtime +\"$`age`\" -name '*.`ext`' -print | head -`width`\nfi", "find \"$`src`\" -type f -mtime +\"$`age`\" -name '*.`ext:b`' -exec gzip -q {} +", "find \"$`src`\" -type f -mtime +\"$`age`\" -printf '%TF %s %p\\n' | sort | head -n `width`"],
        &["", "find \"$`src`\" -mindepth 1 -type d -empty -delete"],
    ] },
    // Sync to another machine.
    Skeleton { stems: &["sync", "mirror", "send", "deploy", "fetch"], fields: TECH, chunks: &[
        &["`srv`=`host`", "`srv`=${1:-`host`}"],
        &["`src`=`dir`/", "`src`=\"`dir`/\""],
        &["`dst`=`dir:b`", "`dst`=\"`dir:b`\""],
        &["`log`=/tmp/`stem`.log", "`log`=\"$HOME/`stem`.log\""],
        &[""],
        &["exec 9> /tmp/`stem:b`.lock\nflock -n 9 || exit 0", "if ! ping -c1 -W`secs` \"$`srv`\" > /dev/null; then\n    echo \"$`srv` is away\" >&2\n    exit 1\nfi", "ssh -o ConnectTimeout=`secs` \"$`srv`\" true || { echo \"no ssh to $`srv`\"; exit 1; }"],
        &["rsync -a --delete --exclude '*.`ext`' \"$`src`\" \"$`srv`:$`dst`\" >> \"$`log`\" 2>&1", "rsync -aH --bwlimit=`mb`00 \"$`src`\" \"$`srv`\":\"$`dst`\" | tee -a \"$`log`\"", "rsync -az --partial --timeout=`full` \"$`src`\" \"$`srv`:$`dst`/\" > \"$`log`\""],
        &["tail -n `few` \"$`log`\"", "echo \"$(date '+`fmt`') $`srv` `outcome`\" >> \"$`log`\"", "ssh \"$`srv`\" du -sh \"$`dst`\""],
    ] },
    // Are machines and ports up?
    Skeleton { stems: &["ping", "probe", "check", "hostlist"], fields: TECH, chunks: &[
        &["`list`=\"`hosts`\"", "`list`=${*:-`hosts`}", "`list`='`hosts`'"],
        &["`rc`=0"],
        &[""],
        &["`fun`() {\n    local `srv`=$1 p=$2\n    timeout `secs` bash -c \"< /dev/tcp/$`srv`/$p\" 2>/dev/null\n}", "`fun`() {\n    nc -z -w`secs` \"$1\" \"$2\"\n}"],
        &[""],
        &["for `srv` in $(echo $`list` | tr ' ' '\\n'); do", "for `srv` in $(tr ' ' '\\n' <<< \"$`list`\" | sort -u); do"],
        &["    if ! `fun` \"$`srv`\" `port`; then\n        echo \"$`srv`:`port` down\"\n        `rc`=1\n    fi", "    `fun` \"$`srv`\" `port` || { echo \"$`srv` `port` closed\"; `rc`=`few`; }", "    for p in `port` `port:b`; do\n        `fun` \"$`srv`\" \"$p\" && echo \"$`srv` $p `outcome`\" || `rc`=1\n    done"],
        &["done"],
        &["exit \"$`rc`\"", "[ $`rc` = 0 ] && echo \"`outcome`\"\nexit $`rc`"],
    ] },
    // A service that must run.
    Skeleton { stems: &["watch", "monitor", "reload", "run"], fields: &["ops"], chunks: &[
        &["`tag`=${1:-`svc`}", "`tag`=`svc`"],
        &["`log`=/var/log/`stem`.log", "`log`=$HOME/`stem`.log"],
        &[""],
        &["`say`() {\n    echo \"$(date '+`fmt`') $*\" >> \"$`log`\"\n}", "`say`() { printf '%s %s\\n' \"$(date +`fmt`)\" \"$*\" | tee -a \"$`log`\"; }"],
        &[""],
        &["if systemctl is-active --quiet \"$`tag`\"; then\n    exit 0\nfi", "systemctl is-active -q \"$`tag`\" && exit 0", "if pgrep -x \"$`tag`\" > /dev/null; then\n    exit 0\nfi"],
        &["`say` \"$`tag` is down\""],
        &["for `n` in 1 2 3; do\n    systemctl restart \"$`tag`\" && break\n    sleep `secs`\ndone", "systemctl restart \"$`tag`\" || `say` \"restart of $`tag` failed\"", "systemctl restart \"$`tag`\"\nsleep `secs`"],
        &["journalctl -u \"$`tag`\" -n `width` --no-pager >> \"$`log`\"", "systemctl status \"$`tag`\" --no-pager | head -n `few` >> \"$`log`\" || true", "`say` \"$`tag` `outcome`\""],
    ] },
    // ldap export.
    Skeleton { stems: &["export", "dump", "inventory-scan"], fields: &["ops"], chunks: &[
        &["`srv`=ldap://`host`", "`srv`=ldaps://`host`"],
        &["`src`='ou=`grp`,dc=`project`,dc=lan'", "`src`=\"ou=people,ou=`leaf`,dc=`project`\""],
        &["`dst`=${1:-$HOME/`stem`.csv}", "`dst`=/tmp/`stem`.csv"],
        &[""],
        &["ldapsearch -x -LLL -H \"$`srv`\" -b \"$`src`\" '(objectClass=person)' uid cn mail |", "ldapsearch -LLL -o ldif-wrap=no -x -H \"$`srv`\" -b \"$`src`\" '(&(uid=*)(mail=*))' uid mail cn |"],
        &["    awk -F': ' '/^uid/ {`key`=$2} /^cn/ {c=$2} /^mail/ {print `key` \";\" c \";\" $2}' > \"$`dst`\"", "    awk 'BEGIN {RS=\"\"; FS=\"\\n\"} {`ln`=\"\"; for (i=2; i<=NF; i++) {sub(/^[^:]*: /, \"\", $i); `ln`=`ln` $i \";\"} print `ln`}' | sort > \"$`dst`\""],
        &["wc -l < \"$`dst`\"", "echo \"$(wc -l < \"$`dst`\") `grp`\"", "sort -o \"$`dst`\" -t';' -k2 \"$`dst`\""],
    ] },
    // Database dump.
    Skeleton { stems: &["dump", "backup", "snapshot", "restore"], fields: TECH, chunks: &[
        &["`tag`=${1:-`project`}", "`tag`=`project`"],
        &["`dst`=`dir`", "`dst`=\"`dir`\""],
        &["`age`=`days`", "readonly `age`=`days`"],
        &[""],
        &["umask 077"],
        &["mkdir -p \"$`dst`\"\n`f`=\"$`dst`/$`tag`-$(date +`fmt`).sql.gz\"", "`f`=$`dst`/$(date '+`fmt`')_$`tag`.sql.gz"],
        &["pg_dump -h `host` \"$`tag`\" | gzip -`column` > \"$`f`.part\"", "mysqldump --single-transaction -h `host` \"$`tag`\" | gzip > \"$`f`.part\"", "sudo -u postgres pg_dump --no-owner \"$`tag`\" | gzip -c > \"$`f`.part\""],
        &["mv \"$`f`.part\" \"$`f`\""],
        &["[ \"$(stat -c %s \"$`f`\")\" -gt `mb`00 ] || echo \"$`f` looks too small\" >&2", "gzip -t \"$`f`\" && echo \"$`f` `outcome`\"", "ls -lh \"$`f`\""],
        &["find \"$`dst`\" -name \"$`tag`*.sql.gz\" -mtime +$`age` -delete", "find \"$`dst`\" -name \"*$`tag`.sql.gz\" -mtime +\"$`age`\" -print -delete"],
    ] },
    // Who uses the space?
    Skeleton { stems: &["usage", "quota", "stats", "inventory-scan"], fields: &[], chunks: &[
        &["`src`=${1:-`dir`}", "`src`=\"${1:-$HOME/`home`}\"", "`src`=`dir`"],
        &["`lim`=`mb`", "`lim`=${2:-`mb`}"],
        &[""],
        &["printf '%s over %s MB\\n' \"$`src`\" \"$`lim`\"", "echo \"$(date +`fmt`) $`src` (`lim` $`lim`)\"", ""],
        &["du -m --max-depth=1 \"$`src`\" 2>/dev/null | sort -rn | while read -r `val` `f`; do", "du -xm -d 1 \"$`src`\" | sort -n -r | head -n `width` | while read -r `val` `f`; do"],
        &["    (( `val` < `lim` )) && break\n    printf '%`few`d MB  %s\\n' \"$`val`\" \"${`f`#\"$`src`\"/}\"", "    [ \"$`val`\" -ge \"$`lim`\" ] || continue\n    echo \"$`val` $`f`\"", "    if [ \"$`val`\" -gt \"$`lim`\" ]; then\n        echo \"$`f`: $`val` MB, $(find \"$`f`\" -type f | wc -l) files\"\n    fi"],
        &["done"],
        &["", "find \"$`src`\" -type f -size +\"$`lim`\"M -printf '%s %p\\n' | sort -rn | head -`few`"],
    ] },
    // A changed page or file.
    Skeleton { stems: &["fetch", "watch", "update", "monitor"], fields: TECH, chunks: &[
        &["`srv`=`url`", "`srv`=${1:-`url`}"],
        &["`old`=$HOME/.cache/`stem`.sum", "`old`=/var/tmp/`stem`.sum"],
        &["`tmp`=$(mktemp)\ntrap 'rm -f \"$`tmp`\"' EXIT"],
        &[""],
        &["if ! curl -fsS -m `secs` \"$`srv`\" -o \"$`tmp`\"; then\n    echo \"$`srv` failed\" >&2\n    exit 1\nfi", "curl -fsSL --retry `few` \"$`srv`\" > \"$`tmp`\" || exit 1", "wget -q -T `secs` -O \"$`tmp`\" \"$`srv`\" || { echo \"$`srv`?\"; exit 1; }"],
        &["`new`=$(sha256sum < \"$`tmp`\")", "`new`=$(grep -v '`word`' \"$`tmp`\" | md5sum | cut -c1-`width`)"],
        &["if [ \"$`new`\" != \"$(cat \"$`old`\" 2>/dev/null)\" ]; then\n    echo \"$`new`\" > \"$`old`\"\n    echo \"$`srv` has changed\"\nfi", "[ -f \"$`old`\" ] && [ \"$`new`\" = \"$(< \"$`old`\")\" ] && exit 0\necho \"$`new`\" > \"$`old`\"\necho \"$(date +`fmt`): $`srv` changed\""],
    ] },
    // Collect documents of a month into an archive.
    Skeleton { stems: &["collect", "gather", "archive", "merge"], fields: &["finance", "sales", "hr", "office"], chunks: &[
        &["`ts`=${1:-$(date +%Y-%m)}", "`ts`=$(date -d \"last month\" +%Y-%m)"],
        &["`src`=\"$HOME/`home`\"", "`src`=`dir`"],
        &["`dst`=\"$HOME/`leaf`/`stem`-$`ts`\"", "`dst`=`dir:b`/$`ts`"],
        &[""],
        &["mkdir -p \"$`dst`\"", "[ -d \"$`dst`\" ] || mkdir -p \"$`dst`\""],
        &["`n`=0"],
        &["find \"$`src`\" -name \"*$`ts`*.`ext`\" -print0 | while IFS= read -r -d '' `f`; do\n    cp -n \"$`f`\" \"$`dst`/\"\ndone", "for `f` in \"$`src`\"/*.`ext`; do\n    [ \"$(date -r \"$`f`\" +%Y-%m)\" = \"$`ts`\" ] || continue\n    cp -p \"$`f`\" \"$`dst`/\"\n    `n`=$((`n` + 1))\ndone"],
        &["(cd \"$`dst`\" && zip -qr \"../`stem`-$`ts`.zip\" .)", "zip -qjr \"$`dst`.zip\" \"$`dst`\"", "tar -C \"$`dst`\" -czf \"$`dst`.tgz\" ."],
        &["ls \"$`dst`\" | wc -l", "echo \"`grp` $`ts`: $(ls \"$`dst`\" | wc -l)\"", "du -sh \"$`dst`\" | cut -f1"],
    ] },
    // Two lists compared.
    Skeleton { stems: &["compare", "merge", "verify", "import"], fields: &[], chunks: &[
        &["`old`=${1:?old list}\n`new`=${2:?new list}", "`old`=$HOME/`home`/`stem`-old.csv\n`new`=$HOME/`home`/`stem`.csv", "`old`=${1:-`stem`.bak}\n`new`=${2:-`stem`.csv}"],
        &["`key`=`column`", "`key`=${3:-`column`}"],
        &[""],
        &["`fun`() {\n    cut -d';' -f\"$`key`\" \"$1\" | tr -d '\\r\" ' | sort -u\n}", "`fun`() {\n    awk -F'[;,]' -v k=\"$`key`\" 'NR > 1 { print tolower($k) }' \"$1\" | sort -u\n}"],
        &[""],
        &["echo \"only in $`old`:\"\ncomm -23 <(`fun` \"$`old`\") <(`fun` \"$`new`\")", "comm -3 <(`fun` \"$`old`\") <(`fun` \"$`new`\") | sed 's/^\\t/+ `grp` /'", "diff <(`fun` \"$`old`\") <(`fun` \"$`new`\") | grep '^[<>]' | head -n `full` || echo `outcome`"],
        &["echo \"new `grp`:\"\ncomm -13 <(`fun` \"$`old`\") <(`fun` \"$`new`\")", "`n`=$(`fun` \"$`new`\" | wc -l)\necho \"$`n` `grp`\"", ""],
    ] },
];
