//! Composing: a letter or an answer, from words to the bytes that are delivered.

use chrono::{DateTime, Utc};
use rand::RngExt;

use super::{
    KnownMail, Message,
    client::{Client, Program},
    header::{Transfer, address_only, mailbox, unstructured},
    prose,
    thread::{domain, references},
};
use crate::{Draw, Machine, Persona, logs, words::hash};

/// A text that replaces the template's: subject (ignored in answers) and paragraphs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Subject of a new thread.
    pub subject: String,
    /// Body without greeting line, quotation and signature being added to it.
    pub body: String,
}

/// What a message is made of.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    /// Sender.
    pub from: &'a Persona,
    /// Recipient; another person.
    pub to: &'a Persona,
    /// The machine that holds the mailboxes.
    pub machine: &'a Machine,
    /// What is answered.
    pub parent: Option<&'a KnownMail>,
    /// Time of the file and, cut to seconds, of the `Date` header.
    pub at: DateTime<Utc>,
    /// Written by a model, if it was.
    pub text: Option<&'a Text>,
}

/// Composes and addresses a message.
pub fn compose(letter: &Letter<'_>, rng: &mut Draw) -> Message {
    let client = Client::of(letter.from);
    let written = prose::write(letter, &client, rng);
    let host = full_host(letter.machine);
    let home: String = domain(&letter.from.email, &host)
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
        .collect();
    let home = if home.is_empty() { host.clone() } else { home };
    let message_id = client.message_id(&home, letter.at.timestamp(), rng);
    let ancestors = letter.parent.map(references).unwrap_or_default();
    let eight = !matches!(client.program, Program::Outlook | Program::Apple | Program::K9);
    let longest = if client.program == Program::Apple { 78 } else { 300 };
    let transfer = Transfer::of(&written.text, eight, longest);
    let date = letter.at.with_timezone(&letter.from.tz()).format("%a, %-d %b %Y %H:%M:%S %z").to_string();
    let quoted = client.program == Program::Outlook;
    let mut head = envelope(letter, &host, rng);
    for name in client.order() {
        let value = match *name {
            "Message-ID" | "Message-Id" => message_id.clone(),
            "Date" => date.clone(),
            "MIME-Version" => "1.0".to_owned(),
            "Mime-Version" => {
                let build = client.agent.trim_start_matches("Apple Mail (2.").trim_end_matches(')');
                format!("1.0 (Mac OS X Mail 16.0 \\({build}\\))")
            }
            "User-Agent" | "X-Mailer" => client.agent.clone(),
            "Subject" => unstructured("Subject", &written.subject),
            "From" => mailbox("From", &letter.from.name, &letter.from.email, quoted),
            "To" => mailbox("To", &letter.to.name, &letter.to.email, quoted),
            "In-Reply-To" => match ancestors.last() {
                Some(parent) => parent.clone(),
                None => continue,
            },
            "References" if ancestors.is_empty() => continue,
            "References" => ancestors.join("\r\n "),
            "Content-Type" => client.content_type().to_owned(),
            "Content-Transfer-Encoding" => transfer.name().to_owned(),
            "Content-Disposition" => "inline".to_owned(),
            "Content-Language" => content_language(client.program, &letter.from.language),
            "X-Sender" => address_only(&letter.from.email),
            _ => continue,
        };
        head.push_str(name);
        head.push_str(": ");
        head.push_str(&value);
        head.push_str("\r\n");
    }
    let raw = format!("{head}\r\n{}", transfer.body(&written.text)).into_bytes();
    Message {
        path: path(letter, raw.len()),
        mtime: letter.at,
        raw,
        subject: written.subject,
        from: letter.from.email.clone(),
        to: letter.to.email.clone(),
        to_name: letter.to.name.clone(),
        message_id,
        in_reply_to: ancestors.last().cloned(),
        references: ancestors,
        thread: written.thread,
        language: letter.from.language.clone(),
    }
}

/// What the machine puts in front of a message: who it went to, and how it came.
fn envelope(letter: &Letter<'_>, host: &str, rng: &mut Draw) -> String {
    let (from, to) = (address_only(&letter.from.email), address_only(&letter.to.email));
    let at = letter.at.format("%a, %-d %b %Y %H:%M:%S +0000");
    let client = logs::neighbour(letter.machine, hash(from.as_bytes(), 0x17 ^ letter.machine.salt));
    let queue: String = (0..10)
        .map(|_| char::from_digit(rng.random_range(0..16), 16).unwrap_or('0').to_ascii_uppercase())
        .collect();
    let id: String = (0..22)
        .map(|_| {
            char::from(
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"[rng.random_range(0..62)],
            )
        })
        .collect();
    format!(
        "Return-Path: <{from}>\r\nDelivered-To: {to}\r\nReceived: from {host}\r\n\tby {host} with LMTP\r\n\tid {id}\r\n\t\
         (envelope-from <{from}>)\r\n\tfor <{to}>; {at}\r\nReceived: from [{client}] (unknown [{client}])\r\n\tby {host} \
         (Postfix) with ESMTPSA id {queue}\r\n\tfor <{to}>; {at} (UTC)\r\n",
    )
}

fn content_language(program: Program, language: &str) -> String {
    let primary = language.split(['-', '_']).next().unwrap_or_default().to_lowercase();
    let region = match primary.as_str() {
        "en" => "US",
        "de" => "DE",
        "fr" => "FR",
        "es" => "ES",
        "it" => "IT",
        "pt" => "PT",
        "nl" => "NL",
        _ if primary.len() == 2 && primary.bytes().all(|b| b.is_ascii_lowercase()) => return primary,
        _ => "US",
    };
    let primary = if region == "US" { "en" } else { primary.as_str() };
    match program {
        Program::Outlook => format!("{primary}-{}", region.to_lowercase()),
        _ => format!("{primary}-{region}"),
    }
}

/// The machine's full name.
fn full_host(machine: &Machine) -> String {
    let clean = |text: &str| -> String {
        text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')).collect()
    };
    let (host, domain) = (clean(&machine.host), clean(&machine.domain));
    let host = if host.is_empty() { "localhost".to_owned() } else { host };
    if domain.is_empty() || host.ends_with(&format!(".{domain}")) { host } else { format!("{host}.{domain}") }
}

/// A part of a path: nothing that leads elsewhere.
fn part(text: &str) -> String {
    let clean: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._+-".contains(c) { c } else { '_' })
        .take(96)
        .collect();
    let clean = clean.trim_start_matches('.');
    if clean.is_empty() { "mail".to_owned() } else { clean.to_owned() }
}

/// The file of a Maildir, unread.
fn path(letter: &Letter<'_>, size: usize) -> String {
    let (local, domain) = letter.to.email.rsplit_once('@').unwrap_or((&letter.to.email, ""));
    let domain = if domain.is_empty() { full_host(letter.machine) } else { part(domain) };
    let (at, pid) = (letter.at, logs::pid(letter.machine, letter.at));
    let name = format!(
        "{}.M{}P{pid}.{},S={size}",
        at.timestamp(),
        at.timestamp_subsec_micros(),
        part(&letter.machine.host)
    );
    format!("/var/mail/vhosts/{domain}/{}/new/{name}", part(local))
}

/// Where a message of `new` lies once it was read.
pub fn seen_path(path: &str) -> String {
    match path.rsplit_once("/new/") {
        Some((mailbox, name)) => format!("{mailbox}/cur/{name}:2,S"),
        None => path.to_owned(),
    }
}
