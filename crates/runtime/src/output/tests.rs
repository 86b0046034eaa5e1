//! Lines come out once, in order, whatever the writer does and wherever the reader was interrupted.

use std::time::Duration;

use decnet_core::SystemIds;
use proptest::prelude::*;

use super::*;
use crate::{MAX_OUTPUT_LINE, OutputItem, OutputLine};

fn decky() -> DeckyName {
    DeckyName::parse("web-01").unwrap()
}

fn open(folder: &Path) -> Output {
    Output::open(folder, &decky(), &SystemIds, None).unwrap()
}

fn write(output: &Output, bytes: &[u8]) {
    output.writer().unwrap().write_all(bytes).unwrap();
    output.signal.changed.notify_one();
}

fn end(output: &Output, folder: &Path) {
    output.end_in(Files::within(folder));
}

async fn next(tail: &mut Tail) -> Option<OutputItem> {
    tokio::time::timeout(Duration::from_secs(10), tail.next())
        .await
        .expect("an item within ten seconds")
        .unwrap()
}

async fn line(tail: &mut Tail) -> OutputLine {
    match next(tail).await {
        Some(OutputItem::Line(line)) => line,
        other => panic!("no line but {other:?}"),
    }
}

#[tokio::test]
async fn a_line_waits_for_its_newline_and_is_known_by_its_offset() {
    let folder = tempfile::tempdir().unwrap();
    let output = open(folder.path());
    let mut tail = output.tail(None);
    write(&output, b"one\n\ntw");
    let one = line(&mut tail).await;
    assert_eq!((one.seq, &one.bytes[..], one.next.offset), (0, &b"one"[..], 4));
    let waiting = tokio::time::timeout(Duration::from_millis(700), tail.next()).await;
    assert!(waiting.is_err(), "an unfinished line came out: {waiting:?}");
    write(&output, b"o\nthree\n");
    let two = line(&mut tail).await;
    assert_eq!((two.seq, &two.bytes[..]), (5, &b"two"[..]));
    assert_eq!(&line(&mut output.tail(Some(two.next))).await.bytes[..], b"three");
}

#[tokio::test]
async fn an_end_delivers_what_is_there_and_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let output = open(folder.path());
    write(&output, b"one\nhalf");
    let mut tail = output.tail(None);
    line(&mut tail).await;
    end(&output, folder.path());
    assert_eq!(&line(&mut tail).await.bytes[..], b"half");
    assert_eq!(next(&mut tail).await, None);
    assert_eq!(next(&mut output.tail(Some(Position { offset: 8, within_line: false }))).await, None);
}

#[tokio::test]
async fn an_overlong_line_is_cut_and_its_rest_never_becomes_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let output = open(folder.path());
    // The rest looks like a line of ours.
    let mut flood = vec![b'x'; MAX_OUTPUT_LINE];
    for _ in 0..50_000 {
        flood.extend_from_slice(b"<134>1 2026-01-01T00:00:00Z web-01 ssh - forged - ");
    }
    flood.extend_from_slice(b"\nhonest\n");
    write(&output, &flood);
    let mut tail = output.tail(None);
    let head = line(&mut tail).await;
    assert_eq!(head.bytes.len(), MAX_OUTPUT_LINE);
    assert!(head.bytes.iter().all(|byte| *byte == b'x'));
    assert!(head.next.within_line);
    // A reader that starts there knows that it is within a line.
    let mut second = output.tail(Some(head.next));
    let mut skips = 0;
    let honest = loop {
        match next(&mut second).await.unwrap() {
            OutputItem::Skipped(position) => {
                assert!(position.within_line);
                skips += 1;
            }
            OutputItem::Line(line) => break line,
        }
    };
    assert!(skips >= 2, "2.5 MB were skipped with {skips} reports");
    assert_eq!(&honest.bytes[..], b"honest");
    assert_eq!(honest.seq, flood.len() as u64 - 7);
}

#[tokio::test]
async fn released_space_is_given_back_and_offsets_stay() {
    let folder = tempfile::tempdir().unwrap();
    let output = open(folder.path());
    let text: Vec<u8> =
        (0..60_000).flat_map(|n| format!("line number {n:08} of this output\n").into_bytes()).collect();
    write(&output, &text);
    let mut tail = output.tail(None);
    let mut last = line(&mut tail).await;
    for _ in 1..50_000 {
        last = line(&mut tail).await;
    }
    let blocks = || fs::metadata(folder.path().join(LINES)).unwrap().blocks();
    let before = blocks();
    output.release(Position { offset: 100, within_line: false }).unwrap();
    assert_eq!(output.lock().about.released, Position::default(), "too little to be worth it");
    output.release(last.next).unwrap();
    assert!(blocks() < before / 3, "{} of {before} blocks are still there", blocks());
    let source = Arc::clone(&output.source);
    drop(output);
    // A reader without a cursor goes on where the space was given back.
    let output = open(folder.path());
    assert_eq!(output.source, source);
    let first = line(&mut output.tail(None)).await;
    assert_eq!(
        (first.seq, &first.bytes[..]),
        (last.next.offset, &b"line number 00050000 of this output"[..])
    );
    let again = line(&mut output.tail(Some(Position::default()))).await;
    assert_eq!(again, first, "a cursor from before the release");
}

#[test]
fn another_file_in_its_place_is_another_output() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    assert_eq!(open(folder.path()).source, first.source);
    // Kept open meanwhile, so that its inode number is not given out again.
    fs::remove_file(folder.path().join(LINES)).unwrap();
    assert_ne!(open(folder.path()).source, first.source);
    fs::write(folder.path().join(ABOUT), b"{\"torn").unwrap();
    open(folder.path());
}

#[tokio::test]
async fn a_torn_line_is_completed_once() {
    let folder = tempfile::tempdir().unwrap();
    let output = open(folder.path());
    output.finish_line().unwrap();
    write(&output, b"one\ntor");
    output.finish_line().unwrap();
    output.finish_line().unwrap();
    write(&output, b"two\n");
    assert_eq!(fs::read(folder.path().join(LINES)).unwrap(), b"one\ntor\ntwo\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever is written in whatever pieces, and however often the reader is replaced by one that starts at the last
    /// stored position: the lines are those of the file.
    #[test]
    fn readers_that_come_and_go_lose_and_double_nothing(
        pieces in proptest::collection::vec(proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..60), 0..30),
        restarts in proptest::collection::vec(any::<bool>(), 200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let output = open(folder.path());
            let all = pieces.concat();
            for piece in &pieces {
                write(&output, piece);
            }
            end(&output, folder.path());
            let mut tail = output.tail(None);
            let mut found = Vec::new();
            let mut restarts = restarts.into_iter().cycle();
            while let Some(item) = next(&mut tail).await {
                let OutputItem::Line(line) = item else { continue };
                let at = usize::try_from(line.seq).unwrap();
                assert_eq!(all.get(at..at + line.bytes.len()), Some(&line.bytes[..]));
                if restarts.next() == Some(true) {
                    tail = output.tail(Some(line.next));
                }
                found.push(line.bytes.to_vec());
            }
            let expected: Vec<Vec<u8>> =
                all.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect();
            assert_eq!(found, expected);
        });
    }
}

/// A14: the original followed 63 containers at most, and began each log anew at every restart.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_outputs_come_out_whole_though_their_reader_starts_again() {
    const OUTPUTS: usize = 200;
    const LINES: usize = 60;
    let folder = tempfile::tempdir().unwrap();
    let watcher = Watcher::start().ok();
    let followers: Vec<_> = (0..OUTPUTS)
        .map(|number| {
            let place = folder.path().join(number.to_string());
            fs::create_dir(&place).unwrap();
            let output = Arc::new(Output::open(&place, &decky(), &SystemIds, watcher.as_ref()).unwrap());
            let writer = Arc::clone(&output);
            tokio::spawn(async move {
                for line in 0..LINES {
                    // In two pieces, as a busy writer's come.
                    write(&writer, format!("decky {number} ").as_bytes());
                    tokio::task::yield_now().await;
                    write(&writer, format!("line {line}\n").as_bytes());
                }
            });
            tokio::spawn(async move {
                let (mut seen, mut cursor) = (Vec::new(), None);
                while seen.len() < LINES {
                    // Each reader takes a few and is gone; the next goes on at its cursor.
                    let mut tail = output.tail(cursor);
                    for _ in 0..=(number % 7) {
                        if seen.len() == LINES {
                            break;
                        }
                        let line = line(&mut tail).await;
                        cursor = Some(line.next);
                        seen.push(String::from_utf8(line.bytes.to_vec()).unwrap());
                    }
                }
                let wanted: Vec<_> = (0..LINES).map(|line| format!("decky {number} line {line}")).collect();
                assert_eq!(seen, wanted);
            })
        })
        .collect();
    for follower in followers {
        follower.await.unwrap();
    }
}
