//! Whether a program that a model wrote could be one: interpreter, length, blocks that end, nothing that no colleague would
//! keep. Not a parser, and nothing is run: what is doubtful is refused, the template is there.

use super::check::Rejected;

/// First lines that a program may have.
const SHELLS: &[&str] =
    &["#!/bin/bash", "#!/usr/bin/env bash", "#!/usr/bin/bash", "#!/bin/sh", "#!/usr/bin/env sh"];
const PYTHONS: &[&str] = &["#!/usr/bin/env python3", "#!/usr/bin/python3"];
/// What nobody keeps in his home.
const ABSURD: &[&str] =
    &["rm -rf /\n", "rm -rf /*", "rm -rf / ", ":(){", "mkfs", "dd if=", ">& /dev/tcp", "| sh\n", "| bash\n"];
const MAX_LINE: usize = 200;

/// Whether a program suits a path: `.py` is Python's, `.sh` a shell's, anything else either's.
pub fn suits(path: &str, body: &str) -> bool {
    let first = body.lines().next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("py") => PYTHONS.contains(&first),
        Some("sh") => is_shell(first),
        _ => PYTHONS.contains(&first) || is_shell(first),
    }
}

fn is_shell(first: &str) -> bool {
    SHELLS.contains(&first.strip_suffix(" -e").or_else(|| first.strip_suffix(" -eu")).unwrap_or(first))
}

/// A program, with one newline at its end.
pub(super) fn check(text: &str) -> Result<String, Rejected> {
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    let first = lines.first().copied().unwrap_or_default();
    let is_python = PYTHONS.contains(&first);
    if !is_python && !is_shell(first) {
        return Err(Rejected::Shape("no known interpreter in the first line"));
    }
    match lines.len() {
        0..5 => return Err(Rejected::TooShort),
        5..=60 => {}
        _ => return Err(Rejected::TooLong),
    }
    if lines.iter().any(|line| line.chars().count() > MAX_LINE) {
        return Err(Rejected::TooLong);
    }
    let whole = lines.join("\n") + "\n";
    if ABSURD.iter().any(|absurd| whole.contains(absurd)) {
        return Err(Rejected::Shape("a program that nobody would keep"));
    }
    let code: Vec<&str> = lines.iter().skip(1).copied().filter(|line| is_code(line)).collect();
    if code.len() < 3 {
        return Err(Rejected::TooShort);
    }
    if lines[1..].iter().any(|line| line.starts_with("#!")) {
        return Err(Rejected::Shape("two programs"));
    }
    let sound = if is_python { python(&code) } else { shell(&code) };
    if sound { Ok(whole) } else { Err(Rejected::Shape("a program with blocks that do not end")) }
}

fn is_code(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with('#')
}

/// Blocks of a shell: as many ends as beginnings, and quotation marks in pairs.
fn shell(code: &[&str]) -> bool {
    let mut depth = [0_i32; 4];
    let mut quote = None;
    for line in code {
        let (bare, open) = unquoted(line, quote);
        quote = open;
        // `${1:-$(date)}`: the brace belongs to the name, not to a block.
        let spaced = bare.replace(")}", ")").replace([';', '(', ')', '&', '|'], " \u{1f} ");
        let mut starts = true;
        for word in spaced.split_whitespace() {
            match word {
                "if" if starts => depth[0] += 1,
                "fi" if starts => depth[0] -= 1,
                "do" if starts => depth[1] += 1,
                "done" if starts => depth[1] -= 1,
                "case" if starts => depth[2] += 1,
                "esac" if starts => depth[2] -= 1,
                "{" => depth[3] += 1,
                "}" => depth[3] -= 1,
                _ => {}
            }
            // A command begins after these; anywhere else such a word is an argument.
            starts = matches!(
                word,
                "\u{1f}" | "then" | "else" | "elif" | "do" | "{" | "!" | "while" | "until" | "if"
            );
        }
        if depth.iter().any(|depth| *depth < 0) {
            return false;
        }
    }
    depth == [0; 4] && quote.is_none() && !prose(code)
}

/// Python: brackets in pairs, a block after each colon.
fn python(code: &[&str]) -> bool {
    let text = code.join("\n");
    if text.contains("\"\"\"") || text.contains("'''") {
        // Long strings defy a look at single lines; an even number of marks must do.
        return ["\"\"\"", "'''"].iter().all(|mark| text.matches(mark).count().is_multiple_of(2));
    }
    let mut open = 0_i32;
    let mut block: Option<usize> = None;
    for line in code {
        let indent = line.len() - line.trim_start().len();
        if line[..indent].contains('\t') {
            return false;
        }
        if block.take().is_some_and(|outer| indent <= outer) {
            return false;
        }
        let (bare, quote) = unquoted(line, None);
        if quote.is_some() {
            return false;
        }
        open += count(&bare, &['(', '[', '{']) - count(&bare, &[')', ']', '}']);
        if open < 0 {
            return false;
        }
        if open == 0 && bare.trim_end().ends_with(':') {
            block = Some(indent);
        }
    }
    open == 0 && block.is_none() && !prose(code)
}

fn count(text: &str, chars: &[char]) -> i32 {
    i32::try_from(text.matches(chars).count()).unwrap_or(i32::MAX)
}

/// A line without what is in quotation marks and comments, and the mark that is still open at its end.
fn unquoted(line: &str, mut quote: Option<char>) -> (String, Option<char>) {
    let mut bare = String::with_capacity(line.len());
    let mut chars = line.chars();
    let mut last = ' ';
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None | Some('"'), '\\') => {
                chars.next();
                last = 'q';
                continue;
            }
            (None, '\'' | '"') => {
                quote = Some(c);
                bare.push('q');
            }
            (Some(mark), c) if c == mark => quote = None,
            (Some(_), _) => {}
            (None, '#') if last.is_whitespace() => break,
            (None, c) => bare.push(c),
        }
        last = c;
    }
    (bare, quote)
}

/// Sentences where commands should be: an explanation after the program.
fn prose(code: &[&str]) -> bool {
    code.iter().any(|line| {
        let line = line.trim();
        let words = line.split_whitespace().count();
        let plain = line.chars().all(|c| c.is_alphabetic() || matches!(c, ' ' | ',' | '.' | '\'' | '`'));
        words >= 6 && plain && line.starts_with(char::is_uppercase) && line.ends_with('.')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHELL: &str = "#!/usr/bin/env bash\nset -euo pipefail\n# old dumps\ndir=/srv/dumps\nfor f in \"$dir\"/*.gz; do\n  if [ -s \"$f\" ]; then\n    echo \"it's fine: $f\"\n  else\n    rm -v \"$f\"\n  fi\ndone\ncase $1 in\n  -v) set -x ;;\n  *) true ;;\nesac\ncheck() {\n  local day=${1:-$(date +%F)}\n  df -h | awk '{print $5}'\n}\ncheck\n";
    const PYTHON: &str = "#!/usr/bin/env python3\nimport sys\nfrom pathlib import Path\n\n\ndef size(path):\n    total = 0\n    for item in Path(path).rglob(\"*\"):\n        if item.is_file():\n            total += item.stat().st_size\n    return total\n\n\nprint({p: size(p)\n       for p in sys.argv[1:]})\n";

    #[test]
    fn programs_pass_as_they_are() {
        assert_eq!(check(SHELL).as_deref(), Ok(SHELL));
        assert_eq!(check(PYTHON).as_deref(), Ok(PYTHON));
        assert!(suits("/home/a/bin/x.sh", SHELL) && !suits("/home/a/x.py", SHELL));
        assert!(suits("/home/a/x.py", PYTHON) && suits("/home/a/bin/x", PYTHON) && !suits("/h/x.sh", PYTHON));
    }

    #[test]
    fn what_could_not_run_is_refused() {
        for bad in [
            SHELL.replace("#!/usr/bin/env bash\n", ""),
            SHELL.replace("#!/usr/bin/env bash", "#!/usr/bin/env perl"),
            SHELL.replace("  fi\n", ""),
            SHELL.replace("done\n", ""),
            SHELL.replace("esac\n", ""),
            SHELL.replace("}\n", ""),
            SHELL.replace("-s \"$f\"", "-s \"$f"),
            SHELL.replace("rm -v \"$f\"", "rm -rf /"),
            format!("{SHELL}This script removes empty dumps and reports the usage of disks.\n"),
            format!("{SHELL}#!/bin/bash\n"),
            PYTHON.replace("sys.argv[1:]})", "sys.argv[1:]}"),
            PYTHON.replace("        if item.is_file():\n", "        if item.is_file():\n    x = 1\n"),
            PYTHON.replace("    total = 0", "\ttotal = 0"),
            PYTHON.replace("rglob(\"*\")", "rglob(\"*)"),
            "#!/bin/bash\n# one\n# two\n# three\necho hi\n".to_owned(),
            "#!/bin/bash\necho hi\n".to_owned(),
            format!("{SHELL}{}", "echo again\n".repeat(60)),
        ] {
            assert!(check(&bad).is_err(), "{bad}");
        }
    }
}
