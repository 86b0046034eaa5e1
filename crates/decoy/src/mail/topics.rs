//! What the mail is about: subjects, bodies, answers and attachments with slots, filled from the seed.
//!
//! Some of it is worth stealing (credentials, account data), most of it is not: a mailbox of nothing but secrets
//! would be no mailbox. Nothing here knows of mail formats.

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use decnet_core::{HostPersona, Seed};

use crate::redis::bait::token;

/// Who begins a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Another account of the machine.
    Colleague,
    /// A program on the machine.
    Program(&'static str),
    /// A supplier.
    Outside,
}

/// A kind of thread.
pub struct Topic {
    /// Who begins it.
    pub sender: Sender,
    /// Subjects.
    pub subjects: &'static [&'static str],
    /// First mails.
    pub bodies: &'static [&'static str],
    /// Answers; none if nobody answers.
    pub answers: &'static [&'static str],
    /// File name and content.
    pub attachment: Option<(&'static str, &'static str)>,
}

const fn topic(
    sender: Sender,
    subjects: &'static [&'static str],
    bodies: &'static [&'static str],
    answers: &'static [&'static str],
) -> Topic {
    Topic { sender, subjects, bodies, answers, attachment: None }
}

/// All kinds; common ones stand more than once.
pub const TOPICS: &[Topic] = &[
    topic(
        Sender::Colleague,
        &["VPN access for {project}", "VPN account", "Remote access {project}"],
        &[
            "your VPN account is ready. Gateway vpn.{domain}, user {user}, initial password {secret}. Please change it by {weekday}.",
            "as discussed: vpn.{domain}, login {user}, password {secret}. The profile is on the {share} share.",
        ],
        &[
            "works, thank you. I will change the password tonight.",
            "I cannot connect from {city}, the gateway answers but says the password is wrong. Is it {secret} with a capital letter first?",
        ],
    ),
    topic(
        Sender::Colleague,
        &["Database for {project}", "{project}: test data", "Access to {dbhost}"],
        &[
            "the {project} database is on {dbhost}.{domain}, schema {schema}, user {schema}_rw, password {secret}. Please do not use it from the report server.",
            "I moved {schema} to {dbhost}.{domain} last night. New password for {schema}_ro is {secret}, the old one stops working on {weekday}.",
        ],
        &["got it, the import runs again.", "thanks. Should I put it into the vault or do you?"],
    ),
    topic(
        Sender::Colleague,
        &["Wi-Fi guests", "Guest network {city}", "Wireless key changed"],
        &[
            "the guest network key is now {secret}. Reception has a printed copy.",
            "new key for the meeting rooms: {secret}. The old one is valid until {weekday}.",
        ],
        &["ok", "thanks, passed on to the {city} office."],
    ),
    topic(
        Sender::Colleague,
        &["Meeting {weekday}", "{project} weekly", "Short call about {project}?", "Agenda for {weekday}"],
        &[
            "can we move the {project} meeting to {weekday} at {hour}? {city} cannot make it earlier.",
            "I would like half an hour on {project} before the customer call. {weekday} {hour} suits me.",
            "three points for {weekday}: budget, the delay in {city}, and who covers for me in week {week}.",
        ],
        &[
            "{weekday} {hour} is fine.",
            "I am on the road until {hour}, after that any time.",
            "can we do it without the {city} people first?",
        ],
    ),
    topic(
        Sender::Colleague,
        &["Quote {number}", "{project}: offer", "Numbers for {city}"],
        &[
            "the customer in {city} wants {amount} off quote {number}. I would go down to {percent} percent margin but not below.",
            "quote {number} is out at EUR {amount}. If they ask for terms, 30 days, not 60.",
        ],
        &[
            "agreed, but only if they order before {weekday}.",
            "let us talk about it first, {percent} percent is thin.",
        ],
    ),
    topic(
        Sender::Colleague,
        &["Holiday week {week}", "Out of office", "Cover for week {week}"],
        &[
            "I am away in week {week}. The {project} folder is on the {share} share, everything urgent goes to the front desk.",
            "could you cover the hotline on {weekday}? I have to be in {city}.",
        ],
        &["no problem.", "only until {hour}, then I have to leave."],
    ),
    topic(
        Sender::Colleague,
        &["Invoice {number}", "Open items {city}", "Payment run"],
        &[
            "invoice {number} over EUR {amount} is still open. Can you release it in the next payment run?",
            "the {city} branch has EUR {amount} in open items, most of it older than {percent} days. Who calls them?",
        ],
        &["released, goes out {weekday}.", "I called, they will pay half of it this week."],
    ),
    topic(
        Sender::Colleague,
        &["New laptop", "Ticket {number}", "Printer second floor"],
        &[
            "your new laptop is ready. First login with {user} and {secret}, then you have to set your own password.",
            "please restart before you leave on {weekday}, the update for ticket {number} needs it.",
        ],
        &["done, thanks.", "it still asks for the old password when I open the {share} share."],
    ),
    topic(
        Sender::Program("root"),
        &[
            "Cron <root@{host}> /usr/local/sbin/backup.sh",
            "Cron <backup@{host}> /opt/scripts/sync-{schema}.sh",
        ],
        &[
            "rsync to nas.{domain}::{share} finished\r\nsent {amount}M bytes  received 12.4K bytes\r\ntotal size is {number}G  speedup is 1.{percent}",
            "backup.sh: dumping {schema} from {dbhost}\r\nbackup.sh: wrote /var/backups/{schema}-{isodate}.sql.gz ({amount} MB)\r\nbackup.sh: done",
            "sync: connecting to nas.{domain} as backup\r\nsync: warning: {percent} files vanished before they could be transferred\r\nsync: exit 24",
        ],
        &[],
    ),
    topic(
        Sender::Program("monitoring"),
        &[
            "PROBLEM: disk usage on {dbhost}",
            "RECOVERY: {dbhost} is UP",
            "PROBLEM: certificate of portal.{domain}",
        ],
        &[
            "Host: {dbhost}.{domain}\r\nService: disk /var\r\nState: WARNING\r\nInfo: {percent}% used, {amount} MB free",
            "Host: {dbhost}.{domain}\r\nState: UP\r\nDuration: {percent} min\r\nInfo: PING OK",
            "portal.{domain}: certificate expires in {percent} days",
        ],
        &[],
    ),
    topic(
        Sender::Program("helpdesk"),
        &["[#{number}] Password reset for {user}", "[#{number}] New request: {project}"],
        &[
            "The password of {user} was reset.\r\n\r\nTemporary password: {secret}\r\n\r\nIt has to be changed at the next login.",
            "A new request was opened and assigned to you.\r\n\r\nSubject: access to {share}\r\nRequested by: {user}\r\nDue: {weekday}",
        ],
        &[],
    ),
    topic(
        Sender::Outside,
        &["Invoice {number}", "Your order {number}", "Delivery {number}"],
        &[
            "please find our invoice {number} over EUR {amount} for the services in week {week}. Payable within 14 days.",
            "your order {number} left our warehouse today and should reach {city} by {weekday}.",
        ],
        &["thank you, forwarded to accounting.", "two items are missing, please check: {number}."],
    ),
    topic(
        Sender::Outside,
        &["Maintenance {weekday}", "Your contract {number}", "Line in {city}"],
        &[
            "on {weekday} between {hour} and midnight we will work on the line in {city}. Interruptions of up to {percent} minutes are possible.",
            "your contract {number} ends at the end of the quarter. With a new term of 24 months the price stays at EUR {amount}.",
        ],
        &["understood, thank you for the notice."],
    ),
    Topic {
        sender: Sender::Colleague,
        subjects: &["Phone list", "Accounts {city}", "List for the audit"],
        bodies: &[
            "attached is the list for the audit. It has initial passwords in it, so please do not pass it on.",
            "here is the export with all external accounts. Delete it when you are done.",
        ],
        answers: &["thanks, printed and deleted.", "is the {city} branch missing or are they not external?"],
        attachment: Some((
            "accounts.csv",
            "login;name;initial_password;valid_until\r\n{user};{project};{secret};{isodate}\r\next-{number};{city};{secret2};{isodate}\r\nscan;{share};{secret3};\r\n",
        )),
    },
    Topic {
        sender: Sender::Colleague,
        subjects: &["Configuration {dbhost}", "Backup of the switch {city}", "{project} settings"],
        bodies: &[
            "attached the settings of {project} before the change, in case we have to go back on {weekday}.",
        ],
        answers: &["good, I keep it on the {share} share."],
        attachment: Some((
            "settings.conf",
            "# {project}\r\ndb.url=jdbc:postgresql://{dbhost}.{domain}:5432/{schema}\r\ndb.user={schema}_rw\r\ndb.password={secret}\r\nsmtp.host=mail.{domain}\r\nsmtp.user={schema}@{domain}\r\nsmtp.password={secret2}\r\n",
        )),
    },
];

/// Fills slots for one thread.
pub struct Fill<'a> {
    seed: Seed,
    persona: &'a HostPersona,
    day: DateTime<Utc>,
}

impl<'a> Fill<'a> {
    /// Slots of a thread that begins on this day.
    pub fn new(seed: &Seed, persona: &'a HostPersona, day: DateTime<Utc>) -> Self {
        Self { seed: seed.child("slots"), persona, day }
    }

    /// One text of a bank with its slots filled.
    pub fn text(&self, seed: &Seed, label: &str, bank: &[&'static str]) -> String {
        let mut rest = seed.child(label).pick(bank).copied().unwrap_or_default();
        let mut out = String::new();
        while let Some((before, (slot, after))) =
            rest.split_once('{').and_then(|(before, tail)| Some((before, tail.split_once('}')?)))
        {
            out.push_str(before);
            out.push_str(&self.slot(slot));
            rest = after;
        }
        out.push_str(rest);
        out
    }

    fn slot(&self, name: &str) -> String {
        let seed = self.seed.child(name);
        let pick = |items: &[&'static str]| seed.pick(items).copied().unwrap_or_default().to_owned();
        match name {
            "domain" => self.persona.domain.clone(),
            "host" => self.persona.hostname.clone(),
            "user" => {
                seed.pick(&self.persona.accounts).map(|account| account.login.clone()).unwrap_or_default()
            }
            "project" => format!(
                "{} {}",
                pick(&[
                    "Aurora", "Beacon", "Cedar", "Delta", "Ember", "Falcon", "Granite", "Harbour", "Indigo",
                    "Juniper", "Kestrel", "Lagoon"
                ]),
                seed.child("number").range(2..=19)
            ),
            "city" => pick(&[
                "Aalborg",
                "Bergen",
                "Coventry",
                "Dortmund",
                "Evora",
                "Freiburg",
                "Ghent",
                "Haarlem",
                "Innsbruck",
                "Kolding",
                "Lund",
                "Metz",
                "Novara",
                "Ostrava",
            ]),
            "share" => pick(&["projects", "archive", "team", "finance", "scan", "public", "handover"]),
            "dbhost" => pick(&["db01", "db02", "pg-main", "sql-rep", "erp-db", "stor3"]),
            "schema" => pick(&["crm", "erp", "billing", "portal", "hr", "tickets", "stock"]),
            "weekday" => pick(&["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]),
            "hour" => format!("{}:{}", seed.range(8..=16), pick(&["00", "15", "30", "45"])),
            "week" => (self.day + TimeDelta::days(7 + i64::try_from(seed.range(0..=40)).unwrap_or(0)))
                .iso_week()
                .week()
                .to_string(),
            "number" => seed.range(10_200..=98_700).to_string(),
            "amount" => seed.range(140..=18_900).to_string(),
            "percent" => seed.range(4..=28).to_string(),
            "isodate" => self.day.format("%Y-%m-%d").to_string(),
            "secret" | "secret2" | "secret3" => {
                let word = pick(&[
                    "Winter", "Harbor", "Copper", "Meadow", "Rocket", "Silver", "Garden", "Marble", "Planet",
                    "Violet",
                ]);
                if seed.child("style").chance(0.5) {
                    format!("{word}{}{}", seed.child("digits").range(10..=9999), pick(&["!", "#", "?", "+"]))
                } else {
                    token(&seed.child("token"), 12)
                }
            }
            _ => String::new(),
        }
    }
}
