//! People: names, logins, addresses, and the passwords that they choose.

use std::collections::HashSet;

use decnet_core::{Account, Seed};

use super::{Company, Machine, data};

/// Somebody who works at the company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Given and family name.
    pub full_name: String,
    /// Login name in the company's style.
    pub login: String,
    /// Mail address.
    pub email: String,
}

/// `count` people with different logins. One style of login names per company.
pub(super) fn staff(node: &Seed, domain: &str, count: usize) -> Vec<Person> {
    let style = node.child("style").range(0..=2);
    let mut people: Vec<Person> = Vec::with_capacity(count);
    // A bound of tries, not a hope: the pools hold thousands of names.
    for attempt in 0..count.saturating_mul(50) {
        if people.len() == count {
            break;
        }
        let node = node.child(attempt.to_be_bytes());
        let first = node.child("first").pick(data::FIRST_NAMES).copied().unwrap_or("Alex");
        let last = node.child("last").pick(data::LAST_NAMES).copied().unwrap_or("Reed");
        let (f, l) = (first.to_lowercase(), last.to_lowercase());
        let initial: String = f.chars().take(1).collect();
        let login = match style {
            0 => format!("{f}.{l}"),
            1 => format!("{initial}{l}"),
            _ => format!("{f}{}", l.chars().take(1).collect::<String>()),
        };
        if people.iter().all(|p| p.login != login && !p.full_name.ends_with(&format!(" {last}"))) {
            let email = format!("{f}.{l}@{domain}");
            people.push(Person { full_name: format!("{first} {last}"), login, email });
        }
    }
    people
}

/// The accounts of a machine: its administrator, one that runs something, and two to five people.
pub(super) fn accounts(
    company: &Company,
    machine: &Machine<'_>,
    node: &Seed,
    passwords: &mut HashSet<String>,
) -> Vec<Account> {
    let (admin, full_name, uid) = match machine.family {
        f if f.is_windows() => ("Administrator", "Built-in administrator", 500),
        crate::catalogue::OsFamily::Embedded => ("admin", "Administrator", 0),
        _ => ("root", "root", 0),
    };
    let mut accounts = vec![Account {
        login: admin.to_owned(),
        full_name: full_name.to_owned(),
        password: match machine.root_password {
            Some(own) => own.to_owned(),
            None => fresh(&node.child(admin), company, passwords),
        },
        uid,
        email: format!("{}@{}", admin.to_lowercase(), company.domain),
    }];
    if let Some((login, full_name)) = node.child("role").pick(data::ROLES).copied() {
        accounts.push(Account {
            login: login.to_owned(),
            full_name: full_name.to_owned(),
            password: fresh(&node.child("role password"), company, passwords),
            uid: 998,
            email: format!("{login}@{}", company.domain),
        });
    }
    let wanted = usize::try_from(node.child("people").range(2..=5)).unwrap_or(3);
    let mut order: Vec<(u64, &Person)> =
        company.staff.iter().map(|p| (node.child("order").child(&p.login).u64(), p)).collect();
    order.sort_by_key(|(key, _)| *key);
    for (uid, (_, person)) in (1000..).zip(order.into_iter().take(wanted)) {
        accounts.push(Account {
            login: person.login.clone(),
            full_name: person.full_name.clone(),
            password: fresh(&node.child("password").child(&person.login), company, passwords),
            uid,
            email: person.email.clone(),
        });
    }
    accounts
}

/// A password that nobody in the fleet has yet.
fn fresh(node: &Seed, company: &Company, passwords: &mut HashSet<String>) -> String {
    let mut attempt = 0u32;
    loop {
        let mut candidate = password(&node.child(attempt.to_be_bytes()), company);
        if attempt > 50 {
            // The pool is nearly used up: let the number grow.
            candidate.push_str(&attempt.to_string());
        }
        if passwords.insert(candidate.clone()) {
            return candidate;
        }
        attempt += 1;
    }
}

/// What people choose: some of it is in every word list, so that guessing is worth an intruder's while.
fn password(node: &Seed, company: &Company) -> String {
    let word = node.child("word").pick(data::PASSWORD_WORDS).copied().unwrap_or("Summer");
    let year = node.child("year").range(2015..=2024);
    let number = node.child("number").range(1..=999);
    let mark = node.child("mark").pick(&["!", "#", "$", "@", "*", "."]).copied().unwrap_or("!");
    let brand = company.name.split(' ').next().unwrap_or("Company");
    match node.child("habit").range(0..=9) {
        0..=2 => format!("{}{number}", word.to_lowercase()),
        3..=4 => format!("{word}{year}"),
        5..=6 => format!("{word}{year}{mark}"),
        7 => format!("{brand}{number}{mark}"),
        8 => format!("{word}{mark}{number}"),
        _ => {
            let letters = b"abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
            (0..14u8).filter_map(|i| node.child([i]).pick(letters).copied().map(char::from)).collect()
        }
    }
}
