//! Messages: their headers, their threads, where they lie.

use std::collections::{HashMap, HashSet};

use mail_parser::MessageParser;

use crate::{Report, Run, instant, text};

struct Sent<'l> {
    decky: &'l str,
    from: &'l str,
    to: &'l str,
    references: Vec<String>,
    root_subject: String,
    thread: &'l str,
}

pub(crate) fn check(run: &Run, report: &mut Report) {
    let mut sent: HashMap<&str, Sent<'_>> = HashMap::new();
    let mut answered: HashSet<(&str, &str)> = HashSet::new();
    let (mut all, mut replies) = (0usize, 0usize);
    let mut paths = HashSet::new();
    for line in run.lines.iter().filter(|line| text(line, "kind") == "email") {
        let whole = || line.to_string();
        all += 1;
        let (from, to, id) = (text(line, "persona"), text(line, "to"), text(line, "message_id"));
        let (Some(sender), Some(recipient)) = (run.persona(from), run.persona(to)) else {
            report.fault("mail: unknown people", whole());
            continue;
        };
        report.check(sender.email != recipient.email, "plan: a letter to oneself", whole);
        report.check(id.starts_with('<') && id.ends_with('>') && id.contains('@'), "mail: message id", whole);
        report.check(!sent.contains_key(id), "mail: a message id twice", whole);
        report.check(paths.insert((text(line, "decky"), text(line, "path"))), "mail: a path twice", whole);
        let references: Vec<String> = line["references"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|id| Some(id.as_str()?.to_owned()))
            .collect();
        let subject = text(line, "subject");
        let mut root_subject = subject.to_owned();
        if let Some(parent_id) = line["in_reply_to"].as_str() {
            replies += 1;
            let Some(parent) = sent.get(parent_id) else {
                report.fault("plan: a reply to nothing", whole());
                continue;
            };
            let mut expected = parent.references.clone();
            expected.push(parent_id.to_owned());
            report.check(references == expected, "mail: references", whole);
            report.check(parent.decky == text(line, "decky"), "plan: a reply on another machine", whole);
            report.check(parent.to == from && parent.from == to, "plan: a reply between others", whole);
            report.check(parent.thread == text(line, "thread"), "mail: another thread", whole);
            report.check(answered.insert((parent_id, from)), "plan: a second reply", whole);
            root_subject.clone_from(&parent.root_subject);
            report.check(subject == format!("Re: {root_subject}"), "mail: the subject of a reply", whole);
        } else {
            report.check(references.is_empty(), "mail: references of a new letter", whole);
            report.check(
                !subject.to_lowercase().starts_with("re:"),
                "mail: a new letter that replies",
                whole,
            );
        }
        headers(run, line, report);
        let entry = Sent {
            decky: text(line, "decky"),
            from,
            to,
            references,
            root_subject,
            thread: text(line, "thread"),
        };
        sent.insert(id, entry);
    }
    if all >= 40 {
        report.check(replies * 5 >= all && replies * 5 <= all * 4, "plan: share of replies", || {
            format!("{replies} of {all}")
        });
    }
}

fn headers(run: &Run, line: &serde_json::Value, report: &mut Report) {
    let raw = text(line, "body");
    let whole = || raw.to_owned();
    let bare = raw.replace("\r\n", "");
    report.check(!bare.contains('\r') && !bare.contains('\n'), "mail: not CRLF throughout", whole);
    let Some((head, body)) = raw.split_once("\r\n\r\n") else {
        report.fault("mail: no blank line", whole());
        return;
    };
    report.check(!body.trim().is_empty() && raw.ends_with("\r\n"), "mail: no text", whole);
    report.check(head.is_ascii(), "mail: raw letters in headers", whole);
    report.check(head.lines().all(|line| line.len() <= 998), "mail: a long header line", whole);
    let count = |name: &str| head.lines().filter(|line| line.to_lowercase().starts_with(name)).count();
    for name in ["mime-version:", "date:", "from:", "to:", "subject:", "message-id:"] {
        report
            .check(count(name) == 1, "mail: a header that should come once", || format!("{name} in {head}"));
    }
    let Some(message) = MessageParser::default().parse(raw.as_bytes()) else {
        report.fault("mail: it cannot be parsed", whole());
        return;
    };
    let address = |list: Option<&mail_parser::Address<'_>>| {
        let first = list.and_then(mail_parser::Address::first);
        first.map(|first| {
            (first.name().unwrap_or_default().to_owned(), first.address().unwrap_or_default().to_owned())
        })
    };
    for (list, name) in [(message.from(), "persona"), (message.to(), "to")] {
        let persona = run.persona(text(line, name));
        let expected = persona.map(|persona| (persona.name.clone(), persona.email.clone()));
        report.check(address(list) == expected, "mail: an address", || {
            format!("{:?} is not {expected:?}", address(list))
        });
    }
    report.check(message.subject() == Some(text(line, "subject")), "mail: the subject header", || {
        format!("{:?} is not {:?}", message.subject(), text(line, "subject"))
    });
    let mtime = instant(line, "mtime");
    let date = message.date().map(mail_parser::DateTime::to_timestamp);
    report.check(date == Some(mtime.timestamp()), "mail: the date header", || format!("{head}\n{mtime}"));
    if let (Some(date), Some(persona)) = (message.date(), run.persona(text(line, "persona"))) {
        use chrono::Offset;
        let zone = persona.timezone.unwrap_or(chrono_tz::UTC);
        let offset = mtime.with_timezone(&zone).offset().fix().local_minus_utc();
        let given = i32::from(date.tz_hour) * 3600 + i32::from(date.tz_minute) * 60;
        let given = if date.tz_before_gmt { -given } else { given };
        report.check(given == offset, "mail: the offset of the date", || {
            format!("{given} is not {offset}: {head}")
        });
    }
    let bare = |id: &str| id.trim_matches(['<', '>']).to_owned();
    report.check(
        message.message_id().map(str::to_owned) == Some(bare(text(line, "message_id"))),
        "mail: the message id header",
        whole,
    );
    let ids = |value: &mail_parser::HeaderValue<'_>| -> Vec<String> {
        value
            .as_text_list()
            .map(|list| list.iter().map(std::string::ToString::to_string).collect())
            .unwrap_or_default()
    };
    let references: Vec<String> = line["references"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|id| Some(bare(id.as_str()?)))
        .collect();
    report.check(ids(message.references()) == references, "mail: the references header", whole);
    let reply: Vec<String> = line["in_reply_to"].as_str().map(bare).into_iter().collect();
    report.check(ids(message.in_reply_to()) == reply, "mail: the in-reply-to header", whole);
    // Maildir: `<epoch>.<unique>.<host>`, in `new` or, once it was read, in `cur`.
    let path = text(line, "path");
    let mut parts = path.rsplit('/');
    let (name, folder) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    report.check(["new", "cur"].contains(&folder) && path.starts_with('/'), "mail: not in a Maildir", || {
        path.to_owned()
    });
    let epoch = name.split('.').next().unwrap_or_default();
    if epoch.bytes().all(|b| b.is_ascii_digit()) {
        report.check(epoch.parse() == Ok(mtime.timestamp()), "mail: the second in the name", || {
            format!("{path} {mtime}")
        });
    }
}
