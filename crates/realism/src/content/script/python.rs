//! Skeletons in Python.

use super::{Chunk, Skeleton};

pub(super) const SHEBANGS: Chunk =
    &["#!/usr/bin/env python3", "#!/usr/bin/python3", "#!/usr/bin/env python3"];

const TECH: &[&str] = &["ops", "dev"];
const MAIN: Chunk = &[
    "if __name__ == \"__main__\":\n    main()",
    "if __name__ == \"__main__\":\n    sys.exit(main())",
    "if __name__ == '__main__':\n    main()",
    "if __name__ == \"__main__\":\n    raise SystemExit(main())",
];

/// All of them.
#[rustfmt::skip]
pub(super) const ALL: &[Skeleton] = &[
    // Sums by group.
    Skeleton { stems: &["sum", "count", "stats", "gather"], fields: &[], chunks: &[
        &["import csv\nimport sys\nfrom collections import defaultdict", "import collections\nimport csv\nimport sys"],
        &["\n`src` = \"`home`/`stem`.csv\"", "\n`key:k` = \"`grp`\"\n`val:c` = \"`col`\"", ""],
        &["\n\ndef `fun`(path):"],
        &["    `res` = {}\n    with open(path, newline=\"\", encoding=\"utf-8\") as `fh`:\n        for `ln` in csv.DictReader(`fh`, delimiter=\";\"):\n            `key` = `ln`.get(\"`grp`\", \"\").strip()\n            `val` = float((`ln`.get(\"`col`\") or \"0\").replace(\",\", \".\"))\n            `res`[`key`] = `res`.get(`key`, 0) + `val`\n    return `res`",
          "    `res` = {}\n    with open(path, encoding=\"latin-1\") as `fh`:\n        `rd` = csv.reader(`fh`, delimiter=\";\")\n        next(`rd`)\n        for `ln` in `rd`:\n            if len(`ln`) <= `column`:\n                continue\n            `key`, `val` = `ln`[0], `ln`[`column`].replace(\",\", \".\")\n            `res`.setdefault(`key`, []).append(float(`val` or 0))\n    return {`key`: sum(`val`) for `key`, `val` in `res`.items()}"],
        &["\n\ndef main():"],
        &["    if len(sys.argv) < 2:\n        sys.exit(\"usage: `stem` FILE.csv\")\n    `tmp` = `fun`(sys.argv[1])", "    `tmp` = {}\n    for `f` in sys.argv[1:]:\n        `tmp`.update(`fun`(`f`))"],
        &["    for `key:o`, `val:o` in sorted(`tmp`.items(), key=lambda kv: -kv[1])[:`width`]:\n        print(f\"{`key:o`:<`width`} {`val:o`:12.2f}\")", "    for `key:o` in sorted(`tmp`):\n        print(`key:o`, round(`tmp`[`key:o`], 2), sep=\"\\t\")\n    print(\"`col`\", round(sum(`tmp`.values()), 2))"],
        &["\n"], MAIN,
    ] },
    // Certificates.
    Skeleton { stems: &["certcheck", "check", "verify"], fields: TECH, chunks: &[
        &["import datetime\nimport socket\nimport ssl\nimport sys", "import socket\nimport ssl\nimport sys\nimport datetime"],
        &["\n`list` = \"`hosts`\".split()", "\n`list` = [\"`host`\", \"`host:b`\"]"],
        &["`lim` = `days`"],
        &["\n\ndef `fun`(`srv`, port=`port`):"],
        &["    ctx = ssl.create_default_context()\n    with socket.create_connection((`srv`, port), timeout=`secs`) as `fh`:\n        with ctx.wrap_socket(`fh`, server_hostname=`srv`) as `tmp`:\n            `val` = `tmp`.getpeercert()[\"notAfter\"]\n    return datetime.datetime.strptime(`val`, \"%b %d %H:%M:%S %Y %Z\")", "    `tmp` = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n    `tmp`.load_default_certs()\n    `fh` = `tmp`.wrap_socket(socket.socket(), server_hostname=`srv`)\n    `fh`.settimeout(`secs`)\n    `fh`.connect((`srv`, port))\n    `val` = ssl.cert_time_to_seconds(`fh`.getpeercert()[\"notAfter\"])\n    `fh`.close()\n    return datetime.datetime.fromtimestamp(`val`)"],
        &["\n\ndef main():\n    `rc` = 0"],
        &["    for `srv` in sys.argv[1:] or `list`:\n        try:\n            `n` = (`fun`(`srv`) - datetime.datetime.now()).days\n        except OSError as exc:\n            print(`srv`, exc)\n            `rc` += 1\n            continue\n        if `n` < `lim`:\n            print(f\"{`srv`}: {`n`} days\")\n            `rc` += 1", "    for `srv` in `list`:\n        try:\n            `ts` = `fun`(`srv`)\n        except OSError:\n            print(\"no answer:\", `srv`)\n            continue\n        `n` = (`ts` - datetime.datetime.now()).days\n        `rc` |= `n` < `lim`\n        print(f\"{`srv`:<`width`}{`n`:5d}\")"],
        &["    return int(bool(`rc`))", "    return 1 if `rc` else 0"],
        &["\n"], MAIN,
    ] },
    // Log counts.
    Skeleton { stems: &["logscan", "scan", "count", "parse"], fields: TECH, chunks: &[
        &["import re\nimport sys\nfrom collections import Counter", "import collections\nimport re\nimport sys"],
        &["\n`pat` = re.compile(r\"(`word`|`word:b`).{0,`width`}\", re.I)", "\n`pat` = re.compile(r\"\\b(`word`)\\b\")\n`log` = \"`logname`\"", "\n`pat` = re.compile(r\"(?P<`key`>\\S+) .*`word`\")"],
        &["\n\ndef `fun`(path):"],
        &["    `res` = {}\n    with open(path, errors=\"replace\") as `fh`:\n        for `ln` in `fh`:\n            `f` = `pat`.search(`ln`)\n            if `f`:\n                `res`[`f`.group(1)] = `res`.get(`f`.group(1), 0) + 1\n    return `res`", "    `n` = 0\n    `res` = {}\n    for `ln` in open(path, encoding=\"utf-8\", errors=\"ignore\"):\n        `n` += 1\n        for `f` in `pat`.findall(`ln`):\n            `res`.setdefault(`f`, []).append(`n`)\n    return {`f`: len(`ln`) for `f`, `ln` in `res`.items()}"],
        &["\n\ndef main():\n    `arg` = sys.argv[1] if len(sys.argv) > 1 else \"`logname`\"", "\n\ndef main():\n    `arg` = (sys.argv + [\"`logname`\"])[1]"],
        &["    `tmp` = `fun`(`arg`)\n    for `key:o` in sorted(`tmp`, key=`tmp`.get, reverse=True)[:`few`]:\n        print(f\"{`tmp`[`key:o`]:6d} {`key:o`}\")", "    for `key:o`, `val` in `fun`(`arg`).items():\n        if `val` > `few`:\n            print(`val`, `key:o`)"],
        &["\n"], MAIN,
    ] },
    // Folder sizes.
    Skeleton { stems: &["usage", "quota", "stats", "diskcheck"], fields: &[], chunks: &[
        &["import os\nimport sys", "import os\nimport sys\nimport time"],
        &["\n`lim` = `mb` * 1024 * 1024", "\n`lim` = `mb`_000_000"],
        &["\n\ndef `fun`(`src`):"],
        &["    `n` = 0\n    for root, dirs, files in os.walk(`src`):\n        for `f` in files:\n            try:\n                `n` += os.path.getsize(os.path.join(root, `f`))\n            except OSError:\n                pass\n    return `n`", "    `res` = 0\n    with os.scandir(`src`) as `rd`:\n        for `f` in `rd`:\n            if `f`.is_symlink():\n                continue\n            `res` += `fun`(`f`.path) if `f`.is_dir() else `f`.stat().st_size\n    return `res`"],
        &["\n\ndef main():\n    `dst` = sys.argv[1] if len(sys.argv) > 1 else \"`dir`\"", "\n\ndef main():\n    `dst` = os.path.expanduser(\"~/`home`\")"],
        &["    for `key` in sorted(os.listdir(`dst`)):\n        `val` = os.path.join(`dst`, `key`)\n        if os.path.isdir(`val`):\n            `tmp` = `fun`(`val`)\n            if `tmp` > `lim`:\n                print(f\"{`tmp` >> 20:8d} MB {`key`}\")", "    `old` = []\n    for `key` in os.listdir(`dst`):\n        `val` = os.path.join(`dst`, `key`)\n        if os.path.isdir(`val`):\n            `old`.append((`fun`(`val`), `key`))\n    for `tmp`, `key` in sorted(`old`)[-`few`:]:\n        print(`key`.ljust(`width`), `tmp` // 1024)"],
        &["\n"], MAIN,
    ] },
    // Csv filter.
    Skeleton { stems: &["extract", "split", "export"], fields: &[], chunks: &[
        &["import argparse\nimport csv\nimport sys", "import csv\nimport argparse\nimport sys"],
        &["\n\ndef main():"],
        &["    `tmp` = argparse.ArgumentParser(description=\"`stem`\")\n    `tmp`.add_argument(\"infile\")\n    `tmp`.add_argument(\"--`grp`\", default=\"`project`\")\n    `arg` = `tmp`.parse_args()", "    `tmp` = argparse.ArgumentParser()\n    `tmp`.add_argument(\"infile\", nargs=\"?\", default=\"`stem`.csv\")\n    `tmp`.add_argument(\"-c\", \"--`grp`\", default=\"\")\n    `arg` = `tmp`.parse_args()"],
        &["    with open(`arg`.infile, newline=\"\") as `fh`:\n        `rd` = csv.DictReader(`fh`, delimiter=\";\")\n        `wr` = csv.DictWriter(sys.stdout, `rd`.fieldnames or [], delimiter=\";\")\n        `wr`.writeheader()\n        `n` = 0\n        for `ln` in `rd`:\n            if `arg`.`grp` in `ln`.get(\"`grp`\", \"\"):\n                `wr`.writerow(`ln`)\n                `n` += 1", "    `n` = 0\n    `wr` = csv.writer(sys.stdout, delimiter=\";\")\n    with open(`arg`.infile, encoding=\"utf-8-sig\") as `fh`:\n        for `ln` in csv.reader(`fh`, delimiter=\";\"):\n            if `n` == 0 or `arg`.`grp` in `ln`:\n                `wr`.writerow(`ln`[:`width`])\n                `n` += 1"],
        &["    print(`n`, \"`grp`\", file=sys.stderr)", "    if `n` < `few`:\n        print(\"only\", `n`, file=sys.stderr)", "    return 0 if `n` else `few`"],
        &["\n"], MAIN,
    ] },
    // Rename by date.
    Skeleton { stems: &["rename", "tidy", "fix"], fields: &[], chunks: &[
        &["import os\nimport re\nimport sys\nimport time", "import re\nimport os\nimport time\nimport sys"],
        &["\n`src` = os.path.expanduser(\"~/`home`\")", "\n`src` = \"`dir`\""],
        &["\n\ndef `fun`(`f`, `ts`):"],
        &["    `new` = re.sub(r\"[^A-Za-z0-9._-]+\", \"-\", `f`).lower()\n    return time.strftime(\"`fmt`-\", `ts`) + `new`", "    `tag`, `key` = os.path.splitext(`f`)\n    `tag` = re.sub(r\"\\s+\", \"_\", `tag`.strip())[:`full`]\n    return f\"{`tag`}_{time.strftime('`fmt`', `ts`)}{`key`}\""],
        &["\n\ndef main():\n    `n` = 0\n    for `f` in sorted(os.listdir(`src`)):", "\n\ndef main():\n    `n` = 0\n    for `f` in os.listdir(sys.argv[1] if len(sys.argv) > 1 else `src`):"],
        &["        if not `f`.endswith((\".`ext`\", \".`ext:b`\")):\n            continue", "        if not `f`.lower().endswith(\".`ext`\"):\n            continue"],
        &["        `val` = os.path.join(`src`, `f`)\n        `new:m` = os.path.join(`src`, `fun`(`f`, time.localtime(os.path.getmtime(`val`))))\n        if not os.path.exists(`new:m`):\n            os.rename(`val`, `new:m`)\n            `n` += 1", "        `val` = os.path.join(`src`, `f`)\n        `new:m` = `fun`(`f`, time.gmtime(os.stat(`val`).st_mtime))\n        print(`f`, \"->\", `new:m`)\n        if \"-n\" not in sys.argv:\n            os.rename(`val`, os.path.join(`src`, `new:m`))\n        `n` += 1"],
        &["    print(f\"`stem`: {`n`}\")", "    print(`n`, \"`leaf`\")"],
        &["\n"], MAIN,
    ] },
    // Ports.
    Skeleton { stems: &["probe", "ping", "check"], fields: TECH, chunks: &[
        &["import socket\nimport sys", "import sys\nimport socket"],
        &["\n`list` = {\"`host`\": [`port`, `port:b`], \"`host:b`\": [`port:c`]}", "\n`list` = {`srv`: (`port`, `port:b`) for `srv` in \"`hosts`\".split()}"],
        &["\n\ndef `fun`(`srv:a`, `val`):\n    try:\n        with socket.create_connection((`srv:a`, `val`), timeout=`secs`):\n            return True\n    except OSError:\n        return False", "\n\ndef `fun`(`srv:a`, `val`):\n    `fh` = socket.socket(socket.AF_INET, socket.SOCK_STREAM)\n    `fh`.settimeout(`secs`)\n    `tmp` = `fh`.connect_ex((`srv:a`, `val`))\n    `fh`.close()\n    return `tmp` == 0"],
        &["\n\ndef main():\n    `rc` = []"],
        &["    for `key`, `res` in `list`.items():\n        `rc` += [f\"{`key`}:{`n`}\" for `n` in `res` if not `fun`(`key`, `n`)]", "    for `key` in sorted(`list`):\n        for `n` in `list`[`key`]:\n            if not `fun`(`key`, `n`):\n                `rc`.append(f\"{`key`}/{`n`}\")"],
        &["    if `rc`:\n        print(\"`alarm`:\", \", \".join(`rc`))\n    return len(`rc`)", "    print(\"\\n\".join(`rc`) or \"`outcome`\")\n    return min(len(`rc`), `few`)"],
        &["\n"], MAIN,
    ] },
    // Json to csv.
    Skeleton { stems: &["convert", "export", "import"], fields: &["dev", "sales", "finance"], chunks: &[
        &["import csv\nimport json\nimport sys", "import json\nimport csv\nimport sys"],
        &["\n`list` = [\"`grp`\", \"`grp:b`\", \"`col`\"]", "\n`list` = (\"`col`\", \"`grp`\", \"`col:b`\", \"`grp:b`\")"],
        &["\n\ndef `fun`(`ln`, `key`):\n    `val` = `ln`.get(`key`, \"\")\n    return f\"{`val`:.2f}\" if isinstance(`val`, float) else str(`val`)", "\n\ndef `fun`(`ln`, `key`):\n    `val` = `ln`.get(`key`)\n    return \"\" if `val` is None else str(`val`).replace(\"\\n\", \" \")[:`full`]"],
        &["\n\ndef main():\n    `rd` = json.load(open(sys.argv[1]) if len(sys.argv) > 1 else sys.stdin)", "\n\ndef main():\n    with open((sys.argv + [\"`stem`.json\"])[1]) as `fh`:\n        `rd` = json.load(`fh`)"],
        &["    `wr` = csv.writer(sys.stdout, delimiter=\";\")\n    `wr`.writerow(`list`)\n    for `ln:r` in `rd`.get(\"`leaf`\", []):\n        `wr`.writerow([`fun`(`ln:r`, `key:c`) for `key:c` in `list`])", "    print(*`list`, sep=\"\\t\")\n    for `ln:r` in `rd` if isinstance(`rd`, (tuple, type([]))) else [`rd`]:\n        print(*(`fun`(`ln:r`, `key:c`) for `key:c` in `list`), sep=\"\\t\")"],
        &["\n"], MAIN,
    ] },
    // Old files.
    Skeleton { stems: &["cleanup", "prune", "purge", "archive"], fields: &[], chunks: &[
        &["import pathlib\nimport sys\nimport time", "import sys\nimport time\nimport pathlib", "import pathlib, sys, time"],
        &["\n`age` = `days`\n`src` = \"`dir`\"", "\n`age`, `src` = `days`, \"`home`\""],
        &["\n\ndef `fun`(`tmp`, `ts`):\n    for `f` in sorted(`tmp`.rglob(\"*.`ext`\")):\n        if `f`.is_file() and `f`.stat().st_mtime < `ts`:\n            yield `f`", "\n\ndef `fun`(`tmp`, `ts`):\n    return [`f` for `f` in `tmp`.glob(\"**/*`project`*\") if `f`.suffix != \".`ext`\" and `f`.stat().st_mtime < `ts`]"],
        &["\n\ndef main():\n    `n` = `val` = 0\n    `dst` = pathlib.Path.home() / `src`\n    `lim` = time.time() - `age` * 86400", "\n\ndef main():\n    `n`, `val` = 0, 0\n    `dst` = pathlib.Path(`src`)\n    `lim` = time.time() - 24 * 3600 * `age`"],
        &["    for `f:x` in `fun`(`dst`, `lim`):\n        `n` += 1\n        `val` += `f:x`.stat().st_size\n        if \"--delete\" in sys.argv:\n            `f:x`.unlink()\n        else:\n            print(`f:x`)", "    for `f:x` in `fun`(`dst`, `lim`):\n        print(time.strftime(\"`fmt`\", time.localtime(`f:x`.stat().st_mtime)), `f:x`.name)\n        `val` += `f:x`.stat().st_size\n        `n` += 1"],
        &["    print(f\"{`n`} `leaf`, {`val` / 1e6:.1f} MB\")", "    print(\"`stem`\", `n`, `val` // 1024, \"kB\")"],
        &["\n"], MAIN,
    ] },
    // Two lists.
    Skeleton { stems: &["compare", "verify", "merge"], fields: &[], chunks: &[
        &["import csv\nimport sys", "import sys\nimport csv"],
        &["\n`key` = \"`grp`\"", "\n`key` = `column`"],
        &["\n\ndef `fun`(path):\n    with open(path, newline=\"\", encoding=\"utf-8\", errors=\"replace\") as `fh`:\n        `rd` = csv.reader(`fh`, delimiter=\";\")\n        `tmp` = next(`rd`)\n        `n` = `tmp`.index(`key`) if `key` in `tmp` else `column`\n        return {`ln`[`n`].strip().lower() for `ln` in `rd` if len(`ln`) > `n`}", "\n\ndef `fun`(path):\n    `res` = set()\n    for `ln` in open(path, encoding=\"latin-1\"):\n        `val` = `ln`.rstrip(\"\\r\\n\").split(\";\")\n        if len(`val`) > `column`:\n            `res`.add(`val`[`column`].strip('\" '))\n    return `res`"],
        &["\n\ndef main():\n    if len(sys.argv) != 3:\n        print(\"usage: `stem` OLD NEW\")\n        return 2\n    `old`, `new` = map(`fun`, sys.argv[1:])", "\n\ndef main():\n    `old`, `new` = `fun`(\"`stem`-old.csv\"), `fun`(sys.argv[1])"],
        &["    for `f` in sorted(`new` - `old`):\n        print(\"+ `grp`\", `f`)\n    for `f` in sorted(`old` - `new`):\n        print(\"- `grp`\", `f`)", "    print(f\"`grp` new: {len(`new` - `old`)}, gone: {len(`old` - `new`)}\")\n    print(*sorted(`new` ^ `old`)[:`full`], sep=\"\\n\")"],
        &["    return 0 if `old` == `new` else `few`", "    return int(`old` != `new`)"],
        &["\n"], MAIN,
    ] },
    // Text replaced in templates.
    Skeleton { stems: &["build", "merge", "send"], fields: &["office", "hr", "sales", "finance"], chunks: &[
        &["import string\nimport sys\nimport csv", "import csv\nimport string\nimport sys"],
        &["\n`dst` = \"`home`/`leaf`\"", "\n`dst` = \"`dir`\""],
        &["\n\ndef `fun`(`ln`, `tmp`):\n    return string.Template(`tmp`).safe_substitute({`key`: `val` for `key`, `val` in `ln`.items() if `key`})", "\n\ndef `fun`(`ln`, `tmp`):\n    for `key`, `val` in `ln`.items():\n        `tmp` = `tmp`.replace(f\"<{`key`}>\", `val` or \"\")\n    return `tmp`"],
        &["\n\ndef main():\n    with open(sys.argv[1] if len(sys.argv) > 1 else \"`stem`.txt\") as `fh`:\n        `rd` = `fh`.read()\n    `n` = 0", "\n\ndef main():\n    `rd` = open(\"`stem`-template.txt\", encoding=\"utf-8\").read()\n    `n` = 0"],
        &["    for `ln:r` in csv.DictReader(open(\"`project`-`grp`.csv\"), delimiter=\";\"):\n        `n` += 1\n        with open(f\"{`dst`}/`grp`-{`n`:03d}.txt\", \"w\") as `wr`:\n            `wr`.write(`fun`(`ln:r`, `rd`))", "    with open(\"`stem`-`grp`.csv\", newline=\"\") as `src`:\n        for `ln:r` in csv.DictReader(`src`, delimiter=\";\"):\n            `f` = f\"{`dst`}/{`ln:r`.get('`grp`', `n`)}.txt\"\n            with open(`f`, \"w\", encoding=\"utf-8\") as `wr`:\n                `wr`.write(`fun`(`ln:r`, `rd`))\n            `n` += 1"],
        &["    print(`n`, \"`grp` `leaf`\")", "    print(f\"`stem`: {`n`} written\")"],
        &["\n"], MAIN,
    ] },
    // Mean and outliers.
    Skeleton { stems: &["stats", "monitor", "count"], fields: &["dev", "ops", "finance"], chunks: &[
        &["import statistics\nimport sys", "import sys\nimport statistics"],
        &["\n`lim` = `few`.`column`", "\n`lim` = `few`"],
        &["\n\ndef `fun`(`rd`):\n    for `ln` in `rd`:\n        `key` = `ln`.split()\n        try:\n            yield float(`key`[`column`].replace(\",\", \".\"))\n        except (IndexError, ValueError):\n            continue", "\n\ndef `fun`(`rd`):\n    `res` = []\n    for `ln` in `rd`:\n        `key` = `ln`.strip().split(\";\")\n        if len(`key`) > `column` and `key`[`column`].replace(\".\", \"\").isdigit():\n            `res`.append(float(`key`[`column`]))\n    return `res`"],
        &["\n\ndef main():\n    `val` = [*`fun`(sys.stdin)]\n    if len(`val`) < 2:\n        return `few:b`", "\n\ndef main():\n    with open((sys.argv + [\"`stem`.txt\"])[1]) as `fh`:\n        `val` = [*`fun`(`fh`)]\n    if len(`val`) < 2:\n        sys.exit(\"no `col`\")"],
        &["    `n`, `tmp` = statistics.mean(`val`), statistics.stdev(`val`)\n    print(f\"`col`: {`n`:.2f} +- {`tmp`:.2f} ({len(`val`)})\")\n    print(*[`old` for `old` in `val` if abs(`old` - `n`) > `lim` * `tmp`][:`width`])", "    `n` = statistics.median(`val`)\n    `tmp` = sorted(`val`)[int(len(`val`) * 0.`full`)]\n    print(\"`col` median\", round(`n`, 2), \"p`full`\", round(`tmp`, 2))\n    if `tmp` > `lim` * `n`:\n        print(\"`alarm`\")"],
        &["\n"], MAIN,
    ] },
];
