//! The mail that the people of this machine write to each other: an endless keyed stream, of which the mailbox shows
//! the last weeks.
//!
//! Every day has keyed threads with keyed times, so the mail at any moment is a function of seed and clock: recent,
//! growing, and the same after a restart, with no state kept. Secrets in it are drawn per decky and per message.

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc, Weekday};
use decnet_core::{HostPersona, Seed};
use mail_builder::{
    MessageBuilder,
    headers::{address::Address, content_type::ContentType},
    mime::{BodyPart, MimePart},
};

use super::topics::{Fill, TOPICS, Topic};

/// Days of mail that are kept.
pub const DAYS: i64 = 40;
/// Bytes of a boundary.
const BOUNDARY: usize = 12;

/// A mail of the stream.
#[derive(Debug, Clone)]
pub struct Mail {
    /// When it arrived.
    pub at: DateTime<Utc>,
    /// Address of the sender.
    pub from: String,
    /// Addresses of the recipients.
    pub to: Vec<String>,
    /// Bytes.
    pub raw: Vec<u8>,
    /// A later mail of the thread answers it.
    pub answered: bool,
    /// Keyed: its readers flagged it.
    pub flagged: bool,
}

/// A person or program that writes.
#[derive(Clone)]
struct Writer {
    name: String,
    email: String,
}

/// Mails that arrived after `after` up to `now`, oldest first.
pub fn between(seed: &Seed, persona: &HostPersona, after: DateTime<Utc>, now: DateTime<Utc>) -> Vec<Mail> {
    let seed = seed.child("mail");
    let mut out = Vec::new();
    if persona.accounts.is_empty() {
        return out;
    }
    // Threads that began a few days before may still have had replies.
    let first = after.date_naive().num_days_from_ce() - 5;
    for day in first..=now.date_naive().num_days_from_ce() {
        let day_seed = seed.child("day").child(day.to_string());
        let Some(date) = chrono::NaiveDate::from_num_days_from_ce_opt(day) else { continue };
        let quiet = matches!(date.weekday(), Weekday::Sat | Weekday::Sun);
        let threads = if quiet {
            day_seed.range(0..=1).min(day_seed.child("quiet").range(0..=1))
        } else {
            day_seed.range(1..=3)
        };
        let Some(midnight) = date.and_hms_opt(0, 0, 0) else { continue };
        for thread in 0..threads {
            let thread_seed = day_seed.child(thread.to_string());
            out.extend(
                write_thread(&thread_seed, persona, midnight.and_utc())
                    .into_iter()
                    .filter(|mail| mail.at > after && mail.at <= now),
            );
        }
    }
    out.sort_by_key(|mail| mail.at);
    out
}

fn write_thread(seed: &Seed, persona: &HostPersona, midnight: DateTime<Utc>) -> Vec<Mail> {
    let Some(topic) = seed.child("topic").pick(TOPICS) else { return Vec::new() };
    let people: Vec<Writer> = persona
        .accounts
        .iter()
        .map(|account| Writer { name: account.full_name.clone(), email: account.email.clone() })
        .collect();
    let Some(reader) = seed.child("reader").pick(&people).cloned() else { return Vec::new() };
    let others: Vec<Writer> = people.iter().filter(|person| person.email != reader.email).cloned().collect();
    let starter = opener(seed, persona, topic, &others);
    let at = midnight
        + TimeDelta::seconds(i64::try_from(seed.child("time").range(7 * 3600..=18 * 3600)).unwrap_or(0));
    let fill = Fill::new(seed, persona, midnight);
    let length = if topic.answers.is_empty() || starter.email == reader.email {
        1
    } else {
        1 + seed.child("length").range(0..=2)
    };
    let subject = fill.text(seed, "subject", topic.subjects);
    let mut out: Vec<Mail> = Vec::new();
    let (mut at, mut previous): (DateTime<Utc>, Option<(String, String)>) = (at, None);
    let mut references: Vec<String> = Vec::new();
    for step in 0..length {
        let step_seed = seed.child("step").child(step.to_string());
        let (from, to) = if step % 2 == 0 { (&starter, &reader) } else { (&reader, &starter) };
        let bank = if step == 0 { topic.bodies } else { topic.answers };
        let text = body(&fill, &step_seed, bank, topic, from, to, previous.as_ref());
        let id = format!(
            "{}.{}@{}",
            hex::encode(step_seed.child("id").bytes::<6>()),
            at.timestamp(),
            domain_of(&from.email, &persona.domain)
        );
        let subject = if step == 0 { subject.clone() } else { format!("Re: {subject}") };
        let attachment = topic.attachment.filter(|_| step == 0 && seed.child("attach").chance(0.8));
        let raw = compose(
            &step_seed,
            from,
            to,
            &subject,
            at,
            &id,
            &references,
            &text,
            attachment.map(|(name, bank)| (name, fill.text(&seed.child("attached"), "content", &[bank]))),
        );
        if let Some(last) = out.last_mut() {
            last.answered = true;
        }
        out.push(Mail {
            at,
            from: from.email.clone(),
            to: vec![to.email.clone()],
            raw,
            answered: false,
            flagged: step_seed.child("flag").chance(0.08),
        });
        references.push(id);
        previous = Some((from.name.clone(), text));
        let delay = i64::try_from(step_seed.child("delay").range(400..=90_000)).unwrap_or(3600);
        at = within_hours(at + TimeDelta::seconds(delay), &step_seed);
    }
    out
}

/// Nobody answers at night: such a reply waits for the morning.
fn within_hours(at: DateTime<Utc>, seed: &Seed) -> DateTime<Utc> {
    let morning =
        TimeDelta::seconds(i64::try_from(seed.child("morning").range(7 * 3600..=9 * 3600)).unwrap_or(0));
    let midnight = at.date_naive().and_hms_opt(0, 0, 0).map_or(at, |naive| naive.and_utc());
    match at.hour() {
        0..7 => midnight + morning,
        19.. => midnight + TimeDelta::days(1) + morning,
        _ => at,
    }
}

/// Who begins: a colleague, a program of this machine, or somebody outside.
fn opener(seed: &Seed, persona: &HostPersona, topic: &Topic, others: &[Writer]) -> Writer {
    let program = |name: &str| Writer {
        name: name.to_owned(),
        email: format!("{}@{}", name.to_lowercase().replace(' ', "-"), persona.domain),
    };
    match topic.sender {
        super::topics::Sender::Colleague => {
            seed.child("colleague").pick(others).cloned().unwrap_or_else(|| program("Office"))
        }
        super::topics::Sender::Program(name) => Writer {
            name: name.to_owned(),
            email: format!(
                "{}@{}.{}",
                name.to_lowercase().replace(' ', "-"),
                persona.hostname,
                persona.domain
            ),
        },
        super::topics::Sender::Outside => {
            let firms = [
                "Halden Supplies",
                "Brightwater Telecom",
                "Osterby Leasing",
                "Quillfield Print",
                "Marlowe & Finch",
                "Tessell Freight",
                "Norrland Energy",
                "Paxton Software",
            ];
            let firm = seed.child("firm").pick(&firms).copied().unwrap_or("Halden Supplies");
            let domain: String = firm.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
            let desk = seed
                .child("desk")
                .pick(&["accounts", "service", "orders", "support"])
                .copied()
                .unwrap_or("service");
            Writer { name: firm.to_owned(), email: format!("{desk}@{domain}.example") }
        }
    }
}

fn domain_of<'a>(email: &'a str, fallback: &'a str) -> &'a str {
    email.rsplit_once('@').map_or(fallback, |(_, domain)| domain)
}

fn body(
    fill: &Fill<'_>,
    seed: &Seed,
    bank: &[&'static str],
    topic: &Topic,
    from: &Writer,
    to: &Writer,
    previous: Option<&(String, String)>,
) -> String {
    let first = |name: &str| name.split(' ').next().unwrap_or(name).to_owned();
    let text = fill.text(seed, "body", bank);
    if matches!(topic.sender, super::topics::Sender::Program(_)) {
        return format!("{text}\r\n");
    }
    let hello = seed
        .child("hello")
        .pick(&["Hi {},", "Hello {},", "{},", "Dear {},", "Morning {},"])
        .copied()
        .unwrap_or("Hi {},")
        .replace("{}", &first(&to.name));
    let bye = seed
        .child("bye")
        .pick(&["Regards", "Best", "Thanks", "Cheers", "Kind regards"])
        .copied()
        .unwrap_or("Best");
    let quoted = previous.map(|(name, text)| {
        let lines: String =
            text.lines().take(12).map(|line| format!("> {line}\r\n")).collect::<Vec<_>>().concat();
        format!("\r\n{name} wrote:\r\n{lines}")
    });
    format!("{hello}\r\n\r\n{text}\r\n\r\n{bye}\r\n{}\r\n{}", first(&from.name), quoted.unwrap_or_default())
}

#[expect(clippy::too_many_arguments, reason = "the parts of a mail")]
fn compose(
    seed: &Seed,
    from: &Writer,
    to: &Writer,
    subject: &str,
    at: DateTime<Utc>,
    id: &str,
    references: &[String],
    text: &str,
    attachment: Option<(&str, String)>,
) -> Vec<u8> {
    let address = |writer: &Writer| Address::new_address(Some(writer.name.clone()), writer.email.clone());
    let mut builder = MessageBuilder::new()
        .from(address(from))
        .to(address(to))
        .subject(subject.to_owned())
        .date(at.timestamp())
        .message_id(id.to_owned());
    if let Some(last) = references.last() {
        builder = builder.in_reply_to(last.clone()).references(references.to_vec());
    }
    let plain = || {
        MimePart::new(
            ContentType::new("text/plain").attribute("charset", "utf-8"),
            BodyPart::Text(text.to_owned().into()),
        )
    };
    let body = match attachment {
        None => plain(),
        Some((name, content)) => {
            let kind = if name.rsplit_once('.').is_some_and(|(_, ending)| ending == "csv") {
                "text/csv"
            } else {
                "application/octet-stream"
            };
            let boundary: String =
                format!("----=_{}", hex::encode(seed.child("boundary").bytes::<BOUNDARY>()));
            let file = MimePart::new(ContentType::new(kind), BodyPart::Binary(content.into_bytes().into()))
                .attachment(name.to_owned());
            MimePart::new(
                ContentType::new("multipart/mixed").attribute("boundary", boundary),
                BodyPart::Multipart(vec![plain(), file]),
            )
        }
    };
    builder.body(body).write_to_vec().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use decnet_core::FleetSecret;

    use super::*;
    use crate::redis::tests::persona;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_600_000, 0).unwrap()
    }

    #[test]
    fn the_stream_is_stable_recent_and_grows() {
        let seed = FleetSecret::from_number(1).seed();
        let start = now() - TimeDelta::days(DAYS);
        let mails = between(&seed, &persona("debian"), start, now());
        assert!(mails.len() > 30 && mails.len() < 250, "{}", mails.len());
        assert!(mails.last().unwrap().at > now() - TimeDelta::days(4));
        let again = between(&seed, &persona("debian"), start, now());
        assert!(mails.iter().zip(&again).all(|(a, b)| a.raw == b.raw), "a restart changed a mail");
        let middle = now() - TimeDelta::days(11);
        let (early, late) = (
            between(&seed, &persona("debian"), start, middle),
            between(&seed, &persona("debian"), middle, now()),
        );
        assert_eq!(early.len() + late.len(), mails.len());
    }

    #[test]
    fn no_two_deckies_share_a_mail_and_none_has_open_slots() {
        let root = FleetSecret::from_number(2).seed();
        let mut seen = BTreeSet::new();
        let mut count = 0;
        for number in 0..20u32 {
            for mail in between(
                &root.child(number.to_be_bytes()),
                &persona("debian"),
                now() - TimeDelta::days(5),
                now(),
            ) {
                let text = String::from_utf8(mail.raw.clone()).unwrap();
                assert!(!text.contains('{') || text.contains("=7B"), "{text}");
                assert!(text.contains("\r\n\r\n") && text.contains("Message-ID: <"), "{text}");
                seen.insert(mail.raw);
                count += 1;
            }
        }
        assert_eq!(seen.len(), count);
    }
}
