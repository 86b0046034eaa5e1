//! Mail programs: each persona has one, with its own header lines, their order, ids and way of quoting.

use rand::{RngExt, SeedableRng};

use crate::{
    Draw, Persona,
    persona::Os,
    words::{field, hash},
};

/// A mail program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Program {
    /// Mozilla's.
    Thunderbird,
    /// GNOME's.
    Evolution,
    /// The Mac's.
    Apple,
    /// Microsoft's.
    Outlook,
    /// On a phone.
    K9,
    /// On the web.
    Roundcube,
    /// In a terminal.
    Mutt,
}

/// Somebody's mail program as it is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Which.
    pub program: Program,
    /// Its `User-Agent` or `X-Mailer`.
    pub agent: String,
    /// The answer stands above the quotation.
    pub top: bool,
    /// Lasting choices of the person: greeting, closing.
    pub habit: u64,
}

impl Client {
    /// The program of a persona: always the same.
    pub fn of(persona: &Persona) -> Self {
        let address = persona.email.to_lowercase();
        let mut seed = [0; 32];
        for (salt, part) in (0u64..).zip(seed.chunks_exact_mut(8)) {
            part.copy_from_slice(
                &hash(address.as_bytes(), (0x6d61_696c + salt) ^ persona.salt).to_le_bytes(),
            );
        }
        let mut rng = Draw::from_seed(seed);
        let technical = matches!(field(&persona.role), "ops" | "dev");
        let all: &[(Program, u32)] = match (persona.os, technical) {
            (Os::Windows, _) => &[(Program::Outlook, 6), (Program::Thunderbird, 3), (Program::Roundcube, 1)],
            (Os::Linux, true) => &[
                (Program::Thunderbird, 5),
                (Program::Evolution, 2),
                (Program::Mutt, 3),
                (Program::Roundcube, 1),
                (Program::K9, 1),
            ],
            (Os::Linux, false) => &[
                (Program::Thunderbird, 4),
                (Program::Roundcube, 3),
                (Program::Evolution, 2),
                (Program::Apple, 2),
                (Program::Outlook, 2),
                (Program::K9, 1),
            ],
        };
        let mut die = rng.random_range(0..all.iter().map(|(_, weight)| weight).sum::<u32>());
        let mut program = Program::Thunderbird;
        for (candidate, weight) in all {
            if die < *weight {
                program = *candidate;
                break;
            }
            die -= weight;
        }
        let below = match program {
            Program::Mutt | Program::Evolution => 0.85,
            Program::Thunderbird => 0.5,
            _ => 0.0,
        };
        let agent = agent(program, persona.os, &mut rng);
        Self { program, agent, top: !rng.random_bool(below), habit: rng.random() }
    }

    /// Characters of a line before it is wrapped.
    pub const fn width(&self) -> usize {
        match self.program {
            Program::Thunderbird | Program::Roundcube | Program::Mutt => 72,
            Program::Evolution => 71,
            Program::K9 | Program::Outlook => 76,
            // One line a paragraph; the encoding wraps it.
            Program::Apple => 900,
        }
    }

    /// Soft line ends are marked by a space.
    pub const fn flowed(&self) -> bool {
        matches!(self.program, Program::Thunderbird | Program::Roundcube)
    }

    /// Header names in the order in which the program writes them.
    pub const fn order(&self) -> &'static [&'static str] {
        match self.program {
            Program::Thunderbird => &[
                "Message-ID",
                "Date",
                "MIME-Version",
                "User-Agent",
                "Subject",
                "To",
                "References",
                "Content-Language",
                "From",
                "In-Reply-To",
                "Content-Type",
                "Content-Transfer-Encoding",
            ],
            Program::Evolution => &[
                "Message-ID",
                "Subject",
                "From",
                "To",
                "Date",
                "In-Reply-To",
                "References",
                "Content-Type",
                "Content-Transfer-Encoding",
                "User-Agent",
                "MIME-Version",
            ],
            Program::Apple => &[
                "From",
                "Content-Type",
                "Content-Transfer-Encoding",
                "Mime-Version",
                "Subject",
                "Date",
                "References",
                "To",
                "In-Reply-To",
                "Message-Id",
                "X-Mailer",
            ],
            Program::Outlook => &[
                "From",
                "To",
                "References",
                "In-Reply-To",
                "Subject",
                "Date",
                "Message-ID",
                "MIME-Version",
                "Content-Type",
                "Content-Transfer-Encoding",
                "X-Mailer",
                "Content-Language",
            ],
            Program::K9 => &[
                "Date",
                "From",
                "To",
                "Subject",
                "User-Agent",
                "In-Reply-To",
                "References",
                "Message-ID",
                "MIME-Version",
                "Content-Type",
                "Content-Transfer-Encoding",
            ],
            Program::Roundcube => &[
                "MIME-Version",
                "Date",
                "From",
                "To",
                "Subject",
                "In-Reply-To",
                "References",
                "User-Agent",
                "Message-ID",
                "X-Sender",
                "Content-Type",
                "Content-Transfer-Encoding",
            ],
            Program::Mutt => &[
                "Date",
                "From",
                "To",
                "Subject",
                "Message-ID",
                "References",
                "MIME-Version",
                "Content-Type",
                "Content-Disposition",
                "Content-Transfer-Encoding",
                "In-Reply-To",
                "User-Agent",
            ],
        }
    }

    /// The value of `Content-Type`.
    pub const fn content_type(&self) -> &'static str {
        match self.program {
            Program::Thunderbird => "text/plain; charset=UTF-8; format=flowed",
            Program::Evolution => "text/plain; charset=\"UTF-8\"",
            Program::Apple => "text/plain;\r\n\tcharset=utf-8",
            Program::Outlook => "text/plain;\r\n\tcharset=\"utf-8\"",
            Program::K9 => "text/plain;\r\n charset=utf-8",
            Program::Roundcube => "text/plain; charset=UTF-8;\r\n format=flowed",
            Program::Mutt => "text/plain; charset=utf-8",
        }
    }

    /// A new message id of somebody at `domain`, with angle brackets.
    pub fn message_id(&self, domain: &str, seconds: i64, rng: &mut Draw) -> String {
        let local = match self.program {
            Program::Thunderbird => uuid(&hex(31, rng)),
            Program::Apple | Program::K9 => uuid(&hex(31, rng)).to_uppercase(),
            Program::Evolution => format!("{}.camel", hex(40, rng)),
            Program::Roundcube => hex(32, rng),
            Program::Outlook => {
                // A count, then the time as Windows counts it, then chance.
                let ticks = (seconds + 11_644_473_600).unsigned_abs() * 10_000_000
                    + u64::from(rng.random_range(0..9_999_999_u32));
                format!("0000{:08x}${:08x}${:08x}$", ticks >> 32, ticks & 0xffff_ffff, rng.random::<u32>())
            }
            Program::Mutt => {
                const LETTERS: &[u8; 64] =
                    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
                (0..16).map(|_| char::from(LETTERS[rng.random_range(0..62)])).collect()
            }
        };
        format!("<{local}@{domain}>")
    }
}

fn hex(length: usize, rng: &mut Draw) -> String {
    (0..length).map(|_| char::from_digit(rng.random_range(0..16), 16).unwrap_or('0')).collect()
}

fn uuid(hex: &str) -> String {
    // 31 digits: the version is the 32nd, and the variant's two bits are set.
    let variant = ['8', '9', 'a', 'b'][hex.bytes().map(usize::from).sum::<usize>() % 4];
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-4{}-{variant}{}-{}", part(0, 8), part(8, 12), part(12, 15), part(15, 18), part(18, 30))
}

fn agent(program: Program, os: Os, rng: &mut Draw) -> String {
    let mut one = |list: &[&str]| list[rng.random_range(0..list.len())].to_owned();
    match (program, os) {
        (Program::Thunderbird, Os::Windows) => {
            one(&["Mozilla Thunderbird", "Mozilla Thunderbird", "Betterbird (Windows)"])
        }
        (Program::Thunderbird, Os::Linux) => {
            one(&["Mozilla Thunderbird", "Mozilla Thunderbird", "Betterbird (Linux)"])
        }
        (Program::Evolution, _) => one(&[
            "Evolution 3.46.4-2 ",
            "Evolution 3.52.3-0ubuntu1 ",
            "Evolution 3.54.3 (3.54.3-1.fc41) ",
            "Evolution 3.44.4-0ubuntu2 ",
            "Evolution 3.56.1-1 ",
        ])
        .trim_end()
        .to_owned(),
        (Program::Apple, _) => one(&[
            "Apple Mail (2.3774.600.62)",
            "Apple Mail (2.3826.400.131.1.6)",
            "Apple Mail (2.3776.700.51)",
            "Apple Mail (2.3731.700.6)",
        ]),
        (Program::Outlook, _) => {
            one(&["Microsoft Outlook 16.0", "Microsoft Outlook 16.0", "Microsoft Outlook 15.0"])
        }
        (Program::K9, _) => one(&["K-9 Mail for Android", "Thunderbird for Android"]),
        (Program::Roundcube, _) => one(&[
            "Roundcube Webmail/1.6.11",
            "Roundcube Webmail/1.6.5",
            "Roundcube Webmail/1.4.15",
            "Roundcube Webmail/1.6.9",
        ]),
        (Program::Mutt, _) => one(&[
            "Mutt/2.2.9 (2022-11-12)",
            "Mutt/2.2.13 (2024-03-09)",
            "Mutt/2.2.12 (2023-09-09)",
            "NeoMutt/20231221",
        ]),
    }
}
