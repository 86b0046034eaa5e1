//! Lines told from what was typed and shown: recordings of real shells, and anything at all.

use proptest::prelude::*;

use super::*;

const KEYED: Echo = Echo { shown: false, lines: false };
const COLLECTED: Echo = Echo { shown: true, lines: true };
const HIDDEN: Echo = Echo { shown: false, lines: true };

fn commands() -> Commands {
    Commands::new(Window { cols: 80, rows: 24, ..Window::default() })
}

fn texts(lines: &[Line]) -> Vec<String> {
    lines.iter().map(|line| String::from_utf8_lossy(&line.text).into_owned()).collect()
}

/// Types and shows in turns: `>` keys, `<` output.
fn play(commands: &mut Commands, echo: Echo, steps: &[(char, &str)]) -> Vec<Line> {
    let mut lines = Vec::new();
    for (way, text) in steps {
        lines.extend(match way {
            '>' => commands.typed(echo, text.as_bytes()),
            _ => commands.shown(text.as_bytes()),
        });
    }
    lines
}

const PROMPT: &str = "\x1b[?2004h\x1b]0;m@web: ~\x07\x1b[01;32mm@web\x1b[00m:\x1b[01;34m~\x1b[00m$ ";

#[test]
fn a_typed_line_is_known_before_its_newline_is_shown() {
    let mut commands = commands();
    let lines = play(
        &mut commands,
        KEYED,
        &[('<', PROMPT), ('>', "i"), ('<', "i"), ('>', "d"), ('<', "d"), ('>', "\r")],
    );
    assert_eq!(lines, []);
    let lines = commands.shown(b"\r\n\x1b[?2004l\r");
    assert_eq!(texts(&lines), ["id"]);
    assert_eq!(lines[0].prompt, "m@web:~$ ");
}

#[test]
fn history_completion_and_erasing_are_what_the_screen_says() {
    let mut commands = commands();
    let lines = play(
        &mut commands,
        KEYED,
        &[
            ('<', PROMPT),
            ('>', "\x1b[A"),
            ('<', "cat /etc/passwd"),
            ('>', "\r"),
            ('<', "\r\n\x1b[?2004l\rroot:x:0\r\n"),
            ('<', PROMPT),
            ('>', "cat /et\t"),
            ('<', "cat /etc/"),
            ('>', "sha\t"),
            ('<', "shadow "),
            ('>', "\r"),
            ('<', "\r\n\x1b[?2004l\rdenied\r\n"),
            ('<', PROMPT),
            ('>', "oops\x15ls"),
            ('<', "oops\x08\x08\x08\x08\x1b[Kls"),
            ('>', "\r"),
            ('<', "\r\n\x1b[?2004l\r"),
        ],
    );
    assert_eq!(texts(&lines), ["cat /etc/passwd", "cat /etc/shadow", "ls"]);
}

#[test]
fn lines_pasted_at_once_come_one_by_one_and_output_is_none_of_them() {
    let mut commands = commands();
    let mut lines = play(&mut commands, KEYED, &[('<', PROMPT), ('>', "ls\rwhoami\rid\r")]);
    assert_eq!(lines, []);
    lines.extend(play(
        &mut commands,
        KEYED,
        &[
            ('<', "ls\r\n\x1b[?2004l\rwhoami.txt\r\nls\r\n"),
            ('<', PROMPT),
            ('<', "whoami\r\n\x1b[?2004l\rm\r\n"),
            ('<', PROMPT),
            ('<', "id\r\n\x1b[?2004l\ruid=0\r\n"),
        ],
    ));
    assert_eq!(texts(&lines), ["ls", "whoami", "id"]);
    assert!(lines.iter().all(|line| line.prompt == "m@web:~$ "), "{lines:?}");
}

#[test]
fn a_shell_that_marks_nothing_is_followed_by_its_prompt() {
    let mut commands = commands();
    let lines = play(
        &mut commands,
        KEYED,
        &[
            ('<', "~ # "),
            ('>', "ls\rpwd\r"),
            ('<', "ls\r\nbin   etc\r\n~ # pwd\r\n/root\r\n~ # "),
            ('>', "\x1b[A"),
            ('<', "pwd"),
            ('>', "\r"),
            ('<', "\r\n/root\r\n~ # "),
        ],
    );
    assert_eq!(texts(&lines), ["ls", "pwd", "pwd"]);
}

#[test]
fn a_line_over_several_rows_is_one() {
    let mut commands = commands();
    let long = "echo ".to_owned() + &"x".repeat(300);
    let lines = play(
        &mut commands,
        KEYED,
        &[
            ('<', PROMPT),
            ('>', &long),
            ('<', &long),
            ('>', "\x01"),
            ('<', "\r\x1b[A\x1b[A\x1b[A\r\x1b[9C"),
            ('>', "\r"),
            ('<', "\x1b[B\x1b[B\x1b[B\r\n\x1b[?2004l\r"),
        ],
    );
    assert_eq!(texts(&lines), [long]);
}

#[test]
fn what_is_not_shown_is_told_apart_with_its_prompt() {
    let mut commands = commands();
    assert_eq!(commands.shown(b"[sudo] password for m: "), []);
    let lines = commands.typed(HIDDEN, b"wrong\x15Winter2\x7f24\r");
    let expected =
        Line { text: b"Winter24".to_vec(), prompt: "[sudo] password for m: ".to_owned(), shown: false };
    assert_eq!(lines, [expected]);
}

#[test]
fn collected_lines_are_edited_as_the_kernel_does() {
    let mut commands = commands();
    let lines = commands.typed(COLLECTED, "one tw\u{f6}\x7f\x7f\x17two\rgone\x03kept\n\r".as_bytes());
    assert_eq!(texts(&lines), ["one two", "kept"]);
}

#[test]
fn an_interrupted_line_and_an_editors_keys_are_no_commands() {
    let mut commands = commands();
    let lines = play(
        &mut commands,
        KEYED,
        &[
            ('<', PROMPT),
            ('>', "rm -rf /\x03"),
            ('<', "rm -rf /^C\x1b[?2004l\r\x1b[?2004h\x1b[?2004l\r\r\n"),
            ('<', PROMPT),
            ('>', "vi\r"),
            ('<', "vi\r\n\x1b[?2004l\r\x1b[?1049h\x1b[2J"),
            ('>', "ihello\rworld\x1b:wq\r"),
            ('<', "hello\r\nworld\x1b[?1049l"),
            ('<', PROMPT),
            ('>', "id\r"),
            ('<', "id\r\n\x1b[?2004l\r"),
        ],
    );
    assert_eq!(texts(&lines), ["vi", "id"]);
}

#[test]
fn a_marked_paste_of_several_lines_is_one_command() {
    let mut commands = commands();
    let lines = play(
        &mut commands,
        KEYED,
        &[
            ('<', PROMPT),
            ('>', "\x1b[200~for i in 1\rdo id\rdone\x1b[201~"),
            ('<', "\x1b[7mfor i in 1\r\ndo id\r\ndone\x1b[27m"),
            ('>', "\r"),
            ('<', "\r\n\x1b[?2004l\r"),
        ],
    );
    assert_eq!(texts(&lines), ["for i in 1\ndo id\ndone"]);
}

#[test]
fn a_line_whose_newline_is_never_shown_is_not_lost() {
    let mut commands = commands();
    assert_eq!(play(&mut commands, KEYED, &[('<', PROMPT), ('>', "reboot\r")]), []);
    assert_eq!(texts(&commands.finish()), ["reboot"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn nothing_that_is_typed_or_shown_breaks_it(
        cols in any::<u32>(), rows in any::<u32>(),
        steps in proptest::collection::vec((0..4u8, 0..4u8, proptest::collection::vec(any::<u8>(), 0..200)), 0..40),
        escapes in proptest::collection::vec("\x1b(\\[[0-9;?]{0,12}[@-~]|[@-~]|\\][^\x07]{0,20}\x07)", 0..40),
    ) {
        let mut commands = Commands::new(Window { cols, rows, ..Window::default() });
        let mut escapes = escapes.iter();
        for (kind, flags, bytes) in &steps {
            let lines = match kind {
                0 => commands.typed(Echo::of(*flags), bytes),
                1 => {
                    commands.resize(Window { cols: rows, rows: cols, ..Window::default() });
                    Vec::new()
                }
                2 => commands.shown(escapes.next().map_or(&b""[..], |text| text.as_bytes())),
                _ => commands.shown(bytes),
            };
            for line in lines {
                prop_assert!(line.text.len() <= LINE_MAX + 64 && line.prompt.len() <= LINE_MAX);
            }
            prop_assert!(commands.waiting.len() <= WAITING_MAX);
        }
        commands.finish();
    }
}
