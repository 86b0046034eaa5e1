//! What can be wrong with a deployment INI, always with section and line.

use std::fmt;

use crate::{
    catalogue::{Port, ServiceProblem, SettingProblem, known_archetypes, known_services},
    ini::{MAX_AMOUNT, MAX_BYTES},
    plan::AddressProblem,
    spec::MAX_DECKIES,
};

/// Errors that are kept; beyond that they are only counted.
const MAX_ERRORS: usize = 200;

/// Everything that is wrong with an INI; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct IniErrors {
    /// The errors by line, the first [`MAX_ERRORS`] of them.
    pub errors: Vec<IniError>,
    /// How many there are beyond those.
    pub more: usize,
}

impl fmt::Display for IniErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.errors.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

/// One error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IniError {
    /// The section, as written.
    pub section: Option<Quoted>,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: IniProblem,
}

impl fmt::Display for IniError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(section) = &self.section {
            write!(f, " [{}]", section.bare())?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// Text of the file inside a message: cut, and shown with its controls escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted(String);

impl Quoted {
    /// Without the quotation marks.
    pub fn bare(&self) -> String {
        self.0.escape_debug().to_string()
    }
}

impl From<&str> for Quoted {
    fn from(text: &str) -> Self {
        Self(text.chars().take(60).collect())
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.bare())?;
        if self.0.contains('\n') {
            f.write_str(" (an indented line continues the value above it)")?;
        }
        Ok(())
    }
}

/// What is wrong at a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IniProblem {
    /// More than we read.
    #[error("the file has {0} bytes and at most {MAX_BYTES} are read: split the deployment")]
    TooLarge(usize),
    /// Other bytes than text.
    #[error("byte {0} is no UTF-8: save the file as UTF-8")]
    NotUtf8(usize),
    /// Nothing in it.
    #[error("no decky: add a section such as [web-01]")]
    NoDeckies,
    /// Not the form of a header.
    #[error("{0} is no section header: write [name]")]
    Header(Quoted),
    /// Not the form of a key.
    #[error("{0} is neither [section] nor key=value nor a comment (# or ;)")]
    Line(Quoted),
    /// A key before the first header.
    #[error("{0} stands before any section: put it below a [section]")]
    NoSection(Quoted),
    /// A section twice.
    #[error("this section is already at line {first}: merge the two")]
    DuplicateSection {
        /// Where it was first.
        first: usize,
    },
    /// A key twice.
    #[error("key {key} is already at line {first}: keep one")]
    DuplicateKey {
        /// The key.
        key: Quoted,
        /// Where it was first.
        first: usize,
    },
    /// A key that means nothing here.
    #[error("unknown key {key}: known here are {known}")]
    UnknownKey {
        /// The key.
        key: Quoted,
        /// Those that mean something.
        known: &'static str,
    },
    /// A value of the wrong form.
    #[error("{key}={value}: must be {must}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it says.
        value: Quoted,
        /// What it should say.
        must: String,
    },
    /// `[DEFAULT]`.
    #[error("[DEFAULT] has no meaning here: put its keys into [general] or into each section")]
    DefaultSection,
    /// Not a decky name.
    #[error("{0} is no decky name: 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit")]
    Name(Quoted),
    /// A dotted section whose last part is no service.
    #[error("a name has no dots, and {service} is no service whose settings this could be: known are {known}", known = known_services())]
    DottedName {
        /// The last part.
        service: Quoted,
    },
    /// Two deckies of one name.
    #[error("decky {name} is already made at line {first}: give each its own name")]
    DuplicateName {
        /// The name.
        name: String,
        /// Where it was first.
        first: usize,
    },
    /// Two deckies of one address.
    #[error("address {ip} is already asked for at line {first}: give each decky its own")]
    DuplicateAddress {
        /// The address.
        ip: std::net::Ipv4Addr,
        /// Where it was first.
        first: usize,
    },
    /// An address that cannot be handed out.
    #[error("{0}")]
    Address(#[from] AddressProblem),
    /// Several deckies, one address.
    #[error("amount={0} with ip=: an address is for one decky; leave one of the two out")]
    AmountWithIp(u32),
    /// Not a number of deckies.
    #[error("amount={0}: must be a whole number from 1 to {MAX_AMOUNT}")]
    Amount(Quoted),
    /// More deckies than a host could bear.
    #[error("more than {MAX_DECKIES} deckies up to here: split the deployment")]
    TooMany,
    /// A service that cannot be deployed.
    #[error("{0}")]
    Service(#[from] ServiceProblem),
    /// A setting that a service refuses.
    #[error("{0}")]
    Setting(#[from] SettingProblem),
    /// Two services of one decky want one port.
    #[error("services {first} and {second} both listen on {port}: leave one out")]
    PortClash {
        /// The one.
        first: String,
        /// The other.
        second: String,
        /// What both want.
        port: Port,
    },
    /// No such archetype.
    #[error("unknown archetype {0}: known are {known}", known = known_archetypes())]
    Archetype(Quoted),
    /// None of an archetype's services is built yet.
    #[error(
        "none of the services of archetype {archetype} ({services}) is built yet: choose another, or add services="
    )]
    ArchetypeNotBuilt {
        /// The archetype.
        archetype: &'static str,
        /// Its services.
        services: String,
    },
    /// Not a name of a custom service.
    #[error(
        "{0} is no name of a custom service: letters, digits, - and _ after [custom-, and not the name of a built-in one"
    )]
    CustomName(Quoted),
    /// A custom service without its image.
    #[error("binary= is missing: name the image of the custom service")]
    CustomImage,
}

/// Errors while they are gathered.
#[derive(Debug, Default)]
pub(super) struct Errors {
    errors: Vec<IniError>,
    more: usize,
}

impl Errors {
    pub(super) fn push(&mut self, section: Option<String>, line: usize, problem: IniProblem) {
        if self.errors.len() < MAX_ERRORS {
            let section = section.map(|s| Quoted::from(s.as_str()));
            self.errors.push(IniError { section, line, problem });
        } else {
            self.more += 1;
        }
    }

    /// All of them by line; `None` if there are none.
    pub(super) fn finish(mut self) -> Option<IniErrors> {
        self.errors.sort_by_key(|e| e.line);
        (!self.errors.is_empty()).then_some(IniErrors { errors: self.errors, more: self.more })
    }
}
