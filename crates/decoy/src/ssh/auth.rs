//! Who gets in, after how long, and when a client has tried often enough. Pure: no socket, no clock, no russh.
//!
//! Timing follows OpenSSH with PAM (`auth2.c`, `pam_delay.c`), so that neither the length of a refusal nor its
//! spread tells a decoy from a server, or a known name from an unknown one.

use std::time::Duration;

use decnet_core::{Account, Seed};
use sha2::{Digest, Sha512};

/// `pam_unix` asks for a delay of two seconds on failure.
const PAM_DELAY_S: f64 = 2.0;
/// `MIN_FAIL_DELAY_SECONDS` of OpenSSH.
const MIN_DELAY_S: f64 = 0.005;
/// `MAX_FAIL_DELAY_SECONDS` of OpenSSH.
const MAX_DELAY_S: f64 = 5.0;
/// About what checking a yescrypt hash takes.
const HASH_S: f64 = 0.06;

/// What a client offers to log in with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Offer<'a> {
    None,
    Password(&'a str),
    PublicKey,
    KeyboardInteractive,
}

/// The answer to one try.
#[derive(Debug, PartialEq)]
pub(super) struct Ruling {
    pub(super) accepted: bool,
    /// Wait this long before answering.
    pub(super) delay: Duration,
    /// Say this and hang up.
    pub(super) hang_up: Option<String>,
}

/// The rules of one server.
pub(super) struct Rules {
    accounts: Vec<Account>,
    max_tries: u32,
    timing_secret: u64,
}

impl Rules {
    pub(super) fn new(accounts: Vec<Account>, max_tries: u32, seed: &Seed) -> Self {
        Self { accounts, max_tries, timing_secret: seed.child("timing").u64() }
    }

    fn knows(&self, user: &str, password: &str) -> bool {
        !password.is_empty() && self.accounts.iter().any(|a| a.login == user && a.password == password)
    }

    /// `user_specific_delay` of OpenSSH: 5 to 9.3 ms, fixed for a name on this machine.
    fn user_delay_s(&self, user: &str) -> f64 {
        let digest = Sha512::digest(format!("{}{user}", self.timing_secret));
        let head = digest.first_chunk::<4>().map_or(0, |head| u32::from_be_bytes(*head));
        MIN_DELAY_S + f64::from(head) / 1e12
    }

    /// `ensure_minimum_time_since`: what took `spent` ends at the user's delay times a power of two.
    fn stretch(&self, user: &str, spent_s: f64) -> Duration {
        if spent_s > MAX_DELAY_S {
            return Duration::from_secs_f64(spent_s);
        }
        let mut total = self.user_delay_s(user);
        while total < spent_s {
            total *= 2.0;
        }
        Duration::from_secs_f64(total)
    }
}

/// One client's tries.
#[derive(Default)]
pub(super) struct Tries {
    attempts: u32,
    failures: u32,
    user: Option<String>,
}

impl Tries {
    /// Rules on a try. `chance` are three numbers of 0..1, fresh for each try.
    pub(super) fn rule(&mut self, rules: &Rules, user: &str, offer: Offer<'_>, chance: [f64; 3]) -> Ruling {
        let first = self.attempts == 0;
        self.attempts += 1;
        match &self.user {
            None => self.user = Some(user.to_owned()),
            Some(before) if before != user => {
                let text = format!(
                    "Change of username or service not allowed: ({before},ssh-connection) -> ({user},ssh-connection)"
                );
                return Ruling { accepted: false, delay: Duration::ZERO, hang_up: Some(text) };
            }
            Some(_) => {}
        }
        let jitter = chance.iter().sum::<f64>() / 3.0;
        if let Offer::Password(password) = offer
            && rules.knows(user, password)
        {
            let delay = Duration::from_secs_f64(HASH_S * (0.8 + 0.4 * jitter));
            return Ruling { accepted: true, delay, hang_up: None };
        }
        // The first `none` only asks for the methods: free of charge, as in OpenSSH.
        let asks = matches!(offer, Offer::None);
        if !(asks && first) {
            self.failures += 1;
        }
        let delay = match offer {
            Offer::None => Duration::ZERO,
            Offer::PublicKey | Offer::KeyboardInteractive => rules.stretch(user, 0.001),
            Offer::Password(_) => rules.stretch(user, PAM_DELAY_S * (0.5 + jitter)),
        };
        let hang_up =
            (self.failures >= rules.max_tries).then(|| "Too many authentication failures".to_owned());
        Ruling { accepted: false, delay, hang_up }
    }
}

#[cfg(test)]
mod tests {
    use decnet_core::FleetSecret;

    use super::*;

    const EVEN: [f64; 3] = [0.5; 3];

    fn rules() -> Rules {
        let account = Account {
            login: "mkeller".to_owned(),
            full_name: "Marta Keller".to_owned(),
            password: "Winter2024!".to_owned(),
            uid: 1000,
            email: "mkeller@example".to_owned(),
        };
        Rules::new(vec![account], 6, &FleetSecret::from_number(1).seed())
    }

    #[test]
    fn only_the_planted_pair_gets_in() {
        let rules = rules();
        let try_pair =
            |user, password| Tries::default().rule(&rules, user, Offer::Password(password), EVEN).accepted;
        assert!(try_pair("mkeller", "Winter2024!"));
        for (user, password) in
            [("mkeller", "winter2024!"), ("mkeller", ""), ("root", "Winter2024!"), ("root", "root"), ("", "")]
        {
            assert!(!try_pair(user, password), "{user} got in with {password:?}");
        }
    }

    #[test]
    fn the_sixth_failure_hangs_up_and_the_first_question_is_free() {
        let rules = rules();
        let mut tries = Tries::default();
        assert_eq!(tries.rule(&rules, "root", Offer::None, EVEN).hang_up, None);
        for n in 1..=5 {
            let ruling = tries.rule(&rules, "root", Offer::Password("x"), EVEN);
            assert_eq!(ruling.hang_up, None, "hung up after {n}");
        }
        let ruling = tries.rule(&rules, "root", Offer::PublicKey, EVEN);
        assert_eq!(ruling.hang_up.as_deref(), Some("Too many authentication failures"));
    }

    #[test]
    fn another_name_in_one_connection_hangs_up_even_with_the_right_password() {
        let rules = rules();
        let mut tries = Tries::default();
        tries.rule(&rules, "root", Offer::None, EVEN);
        let ruling = tries.rule(&rules, "mkeller", Offer::Password("Winter2024!"), EVEN);
        assert!(!ruling.accepted);
        assert!(ruling.hang_up.unwrap().contains("(root,ssh-connection) -> (mkeller,ssh-connection)"));
    }

    #[test]
    fn a_refusal_lasts_as_long_for_strangers_as_for_the_known() {
        let rules = rules();
        for user in ["mkeller", "root", "nosuch", ""] {
            for chance in [[0.0; 3], EVEN, [0.999; 3]] {
                let delay = |user| {
                    Tries::default().rule(&rules, user, Offer::Password("x"), chance).delay.as_secs_f64()
                };
                // Between PAM's shortest delay and twice its longest, on the user's own grid.
                assert!((1.0..6.0).contains(&delay(user)), "{user}: {}", delay(user));
                let steps = (delay(user) / rules.user_delay_s(user)).log2();
                assert!((steps - steps.round()).abs() < 1e-6, "{user}: not on the grid");
            }
            let key = Tries::default().rule(&rules, user, Offer::PublicKey, EVEN).delay.as_secs_f64();
            assert!((0.005..0.0095).contains(&key), "{key}");
        }
    }
}
