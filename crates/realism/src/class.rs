//! The content classes: their wire names (persisted, so they are only ever added to), groups and weights.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! classes {
    ($($name:ident $wire:literal $doc:literal),* $(,)?) => {
        /// What kind of content a planted file or message is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Class { $(#[doc = $doc] $name,)* }

        impl Class {
            /// All, in the order of the wire.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The wire name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $wire,)* }
            }
        }
    };
}

classes! {
    Note "note" "Somebody's note.",
    Todo "todo" "Somebody's list.",
    Draft "draft" "A letter or memo in the making.",
    Script "script" "A small program of somebody's.",
    LogCron "log_cron" "What cron ran.",
    LogDaemon "log_daemon" "What daemons said.",
    CacheTmp "cache_tmp" "A program's temporary file.",
    Email "email" "A delivered message.",
    CanaryAwsCreds "canary_aws_creds" "Bait: cloud keys.",
    CanaryEnvFile "canary_env_file" "Bait: an environment file.",
    CanaryGitConfig "canary_git_config" "Bait: a repository's configuration.",
    CanarySshKey "canary_ssh_key" "Bait: a private key.",
    CanaryHoneydoc "canary_honeydoc" "Bait: a web page.",
    CanaryHoneydocDocx "canary_honeydoc_docx" "Bait: a text document.",
    CanaryHoneydocPdf "canary_honeydoc_pdf" "Bait: a PDF.",
    CanaryMysqlDump "canary_mysql_dump" "Bait: a database dump.",
}

/// The group that a class belongs to; each to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// Written by a person; a language model may write it.
    User,
    /// Written by the machine: formulaic, so templates only.
    System,
    /// Mail, which has a path of its own.
    Email,
    /// Bait, which the canary planter makes.
    Canary,
}

impl Class {
    /// What people write, with the weight of each.
    pub const USER: [(Self, u32); 4] =
        [(Self::Note, 30), (Self::Todo, 20), (Self::Draft, 15), (Self::Script, 10)];
    /// What machines write, with the weight of each.
    pub const SYSTEM: [(Self, u32); 3] = [(Self::LogCron, 12), (Self::LogDaemon, 8), (Self::CacheTmp, 5)];

    /// Its group.
    pub const fn group(self) -> Group {
        match self {
            Self::Note | Self::Todo | Self::Draft | Self::Script => Group::User,
            Self::LogCron | Self::LogDaemon | Self::CacheTmp => Group::System,
            Self::Email => Group::Email,
            _ => Group::Canary,
        }
    }

    /// Whether a person wrote it.
    pub const fn is_user(self) -> bool {
        matches!(self.group(), Group::User)
    }

    /// Whether such a file is ever changed again.
    pub const fn is_editable(self) -> bool {
        matches!(self, Self::Note | Self::Todo | Self::Draft | Self::Script | Self::LogCron | Self::LogDaemon)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not one of the wire names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no content class")]
pub struct UnknownClass(pub String);

impl FromStr for Class {
    type Err = UnknownClass;

    fn from_str(text: &str) -> Result<Self, UnknownClass> {
        Self::ALL
            .iter()
            .find(|class| class.as_str() == text)
            .copied()
            .ok_or_else(|| UnknownClass(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_names_are_what_they_have_always_been() {
        let names: Vec<&str> = Class::ALL.iter().map(|class| class.as_str()).collect();
        assert_eq!(
            names,
            [
                "note",
                "todo",
                "draft",
                "script",
                "log_cron",
                "log_daemon",
                "cache_tmp",
                "email",
                "canary_aws_creds",
                "canary_env_file",
                "canary_git_config",
                "canary_ssh_key",
                "canary_honeydoc",
                "canary_honeydoc_docx",
                "canary_honeydoc_pdf",
                "canary_mysql_dump",
            ]
        );
        for class in Class::ALL {
            assert_eq!(class.as_str().parse(), Ok(*class));
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
            let canary = class.as_str().starts_with("canary_");
            assert_eq!(canary, class.group() == Group::Canary);
            assert!(!(canary || *class == Class::Email || *class == Class::CacheTmp) || !class.is_editable());
        }
        assert!("Note".parse::<Class>().is_err());
    }

    #[test]
    fn the_weights_are_of_the_group_that_they_stand_in() {
        assert!(Class::USER.iter().all(|(class, _)| class.group() == Group::User));
        assert!(Class::SYSTEM.iter().all(|(class, _)| class.group() == Group::System));
        assert_eq!(Class::USER.iter().map(|(_, weight)| weight).sum::<u32>(), 75);
        assert_eq!(Class::SYSTEM.iter().map(|(_, weight)| weight).sum::<u32>(), 25);
    }
}
