//! THREAD: which message answers which (RFC 5256), by references or by subject.
//!
//! Broken or endless references cost no more than the bounds here; a message is in exactly one thread.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use mail_parser::{HeaderValue, MessageParser};

use super::search::{base_subject, date};
use crate::mail::mailbox::Message;

/// References of one message that are followed.
const REFERENCES_MAX: usize = 50;
/// Depth that is printed; deeper answers become siblings.
const DEPTH_MAX: usize = 100;

/// How threads are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// By references, then by subject.
    References,
    /// By references alone; the thread with the newest message comes last.
    Refs,
    /// By subject.
    OrderedSubject,
}

/// What threading needs of a message.
struct Seen {
    number: u32,
    at: i64,
    id: String,
    references: Vec<String>,
    subject: String,
    answers: bool,
}

/// A place in a thread; without a number it stands for a message that is not here.
#[derive(Debug, Default)]
struct Node {
    number: Option<u32>,
    at: i64,
    subject: String,
    answers: bool,
    parent: Option<usize>,
    children: Vec<usize>,
}

/// The threads of `(number, message)` pairs as THREAD prints them.
pub fn threads(messages: &[(u32, &Message)], algorithm: Algorithm) -> String {
    let seen: Vec<Seen> = messages.iter().map(|(number, message)| look(*number, message)).collect();
    let mut forest = if algorithm == Algorithm::OrderedSubject {
        by_subject(seen)
    } else {
        Forest::by_references(seen, algorithm)
    };
    forest.order(algorithm);
    let mut out = String::new();
    for root in forest.roots.clone() {
        out.push('(');
        forest.print(root, 0, &mut out);
        out.push(')');
    }
    out
}

fn look(number: u32, message: &Message) -> Seen {
    let raw = message.body.bytes().unwrap_or_default();
    let parsed = MessageParser::default().parse_headers(&*raw).unwrap_or_default();
    let ids = |value: &HeaderValue<'_>| -> Vec<String> {
        match value {
            HeaderValue::Text(id) => vec![id.to_string()],
            HeaderValue::TextList(ids) => ids.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        }
    };
    let mut references = ids(parsed.references());
    if references.is_empty() {
        references = ids(parsed.in_reply_to());
        references.truncate(1);
    }
    let excess = references.len().saturating_sub(REFERENCES_MAX);
    references.drain(..excess);
    let (subject, answers) = base_subject(parsed.subject().unwrap_or_default());
    let id = parsed.message_id().map_or_else(|| format!("\0{number}"), str::to_owned);
    Seen { number, at: date(message, &parsed), id, references, subject, answers }
}

#[derive(Debug, Default)]
struct Forest {
    nodes: Vec<Node>,
    roots: Vec<usize>,
}

fn by_subject(seen: Vec<Seen>) -> Forest {
    let mut forest = Forest::default();
    let mut groups: BTreeMap<String, Vec<Seen>> = BTreeMap::new();
    for one in seen {
        groups.entry(one.subject.clone()).or_default().push(one);
    }
    for mut group in groups.into_values() {
        group.sort_by_key(|one| (one.at, one.number));
        let mut root = None;
        for one in group {
            let at = forest.add(Node { number: Some(one.number), at: one.at, ..Node::default() });
            match root {
                None => root = Some(at),
                Some(root) => forest.link(root, at),
            }
        }
        forest.roots.extend(root);
    }
    forest
}

impl Forest {
    fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn node(&self, at: usize) -> Option<&Node> {
        self.nodes.get(at)
    }

    /// Makes one node the child of another, unless that would close a ring.
    fn link(&mut self, parent: usize, child: usize) {
        let mut above = Some(parent);
        while let Some(at) = above {
            if at == child {
                return;
            }
            above = self.node(at).and_then(|node| node.parent);
        }
        if let Some(before) = self.node(child).and_then(|node| node.parent)
            && let Some(before) = self.nodes.get_mut(before)
        {
            before.children.retain(|one| *one != child);
        }
        if let Some(child) = self.nodes.get_mut(child) {
            child.parent = Some(parent);
        }
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.children.push(child);
        }
    }

    fn by_references(seen: Vec<Seen>, algorithm: Algorithm) -> Self {
        let mut forest = Self::default();
        let mut by_id: BTreeMap<String, usize> = BTreeMap::new();
        for one in seen {
            let mut place = |forest: &mut Self, id: &str| {
                *by_id.entry(id.to_owned()).or_insert_with(|| forest.add(Node::default()))
            };
            let mut at = place(&mut forest, &one.id);
            if forest.node(at).is_some_and(|node| node.number.is_some()) {
                // An id that is there already names nothing.
                at = forest.add(Node::default());
            }
            if let Some(node) = forest.nodes.get_mut(at) {
                (node.number, node.at) = (Some(one.number), one.at);
                (node.subject, node.answers) = (one.subject, one.answers);
            }
            let mut last = None;
            for id in &one.references {
                let next = place(&mut forest, id);
                if let Some(last) = last
                    && forest.node(next).is_some_and(|node| node.parent.is_none())
                {
                    forest.link(last, next);
                }
                last = Some(next);
            }
            if let Some(last) = last {
                forest.link(last, at);
            }
        }
        forest.prune();
        if algorithm == Algorithm::References {
            forest.merge();
        }
        forest
    }

    /// Takes out places without a message, except at the top of several answers.
    fn prune(&mut self) {
        for at in 0..self.nodes.len() {
            let Some(node) = self.node(at).filter(|node| node.number.is_none()) else { continue };
            let (parent, children) = (node.parent, node.children.clone());
            if parent.is_none() && children.len() > 1 {
                continue;
            }
            for child in &children {
                if let Some(child) = self.nodes.get_mut(*child) {
                    child.parent = parent;
                }
            }
            if let Some(parent) = parent.and_then(|parent| self.nodes.get_mut(parent)) {
                parent.children.retain(|one| *one != at);
                parent.children.extend(&children);
            }
            if let Some(node) = self.nodes.get_mut(at) {
                (node.parent, node.children) = (None, Vec::new());
            }
        }
        let is_root =
            |node: &Node| node.parent.is_none() && (node.number.is_some() || !node.children.is_empty());
        self.roots = (0..).zip(&self.nodes).filter(|(_, node)| is_root(node)).map(|(at, _)| at).collect();
        // A place for nobody is as old as its first answer and has its subject.
        for at in self.roots.clone() {
            let Some(node) = self.node(at).filter(|node| node.number.is_none()) else { continue };
            let first = node.children.iter().filter_map(|child| self.node(*child)).min_by_key(|one| one.at);
            let known = first.map(|first| (first.at, first.subject.clone(), first.answers));
            if let Some(node) = self.nodes.get_mut(at)
                && let Some(known) = known
            {
                (node.at, node.subject, node.answers) = known;
            }
        }
    }

    /// Joins threads of one subject (RFC 5256, step 5).
    fn merge(&mut self) {
        let dummy = |forest: &Self, at: usize| forest.node(at).is_some_and(|node| node.number.is_none());
        let answers = |forest: &Self, at: usize| forest.node(at).is_some_and(|node| node.answers);
        let subject = |forest: &Self, at: usize| {
            forest.node(at).map(|node| node.subject.clone()).filter(|subject| !subject.is_empty())
        };
        let mut table: BTreeMap<String, usize> = BTreeMap::new();
        self.roots.sort_by_key(|at| self.nodes.get(*at).map(|node| (node.at, node.number)));
        for at in self.roots.clone() {
            let Some(subject) = subject(self, at) else { continue };
            let better = table.get(&subject).is_none_or(|known| {
                !dummy(self, *known) && (dummy(self, at) || answers(self, *known) && !answers(self, at))
            });
            if better {
                table.insert(subject, at);
            }
        }
        let mut gone: BTreeSet<usize> = BTreeSet::new();
        for at in self.roots.clone() {
            let Some(subject) = subject(self, at) else { continue };
            let Some(known) = table.get(&subject).copied().filter(|known| *known != at) else { continue };
            if dummy(self, known) && dummy(self, at) {
                let children = self.node(at).map(|node| node.children.clone()).unwrap_or_default();
                for child in children {
                    self.link(known, child);
                }
                gone.insert(at);
            } else if dummy(self, known) || answers(self, at) && !answers(self, known) {
                self.link(known, at);
                gone.insert(at);
            } else {
                let (when, answers) = self.node(known).map_or((0, false), |node| (node.at, node.answers));
                let both = self.add(Node { at: when, subject: subject.clone(), answers, ..Node::default() });
                self.link(both, known);
                self.link(both, at);
                gone.extend([known, at]);
                self.roots.push(both);
                table.insert(subject, both);
            }
        }
        self.roots.retain(|root| !gone.contains(root));
    }

    fn order(&mut self, algorithm: Algorithm) {
        let keys: Vec<(i64, Option<u32>)> = self.nodes.iter().map(|node| (node.at, node.number)).collect();
        let key = |at: &usize| keys.get(*at).copied();
        for node in &mut self.nodes {
            node.children.sort_by_key(key);
        }
        if algorithm == Algorithm::Refs {
            let mut roots: Vec<(i64, usize)> =
                self.roots.iter().map(|root| (self.newest(*root), *root)).collect();
            roots.sort_unstable();
            self.roots = roots.into_iter().map(|(_, root)| root).collect();
        } else {
            self.roots.sort_by_key(key);
        }
    }

    fn newest(&self, root: usize) -> i64 {
        let (mut newest, mut open) = (i64::MIN, vec![root]);
        while let Some(node) = open.pop().and_then(|at| self.node(at)) {
            newest = newest.max(node.at);
            open.extend(&node.children);
        }
        newest
    }

    /// A chain is written in one row, several answers each in their own parentheses.
    fn print(&self, at: usize, depth: usize, out: &mut String) {
        let Some(mut node) = self.node(at) else { return };
        loop {
            if let Some(number) = node.number {
                let _ = write!(out, "{number}");
            }
            match node.children.as_slice() {
                [only] => {
                    let Some(next) = self.node(*only) else { return };
                    out.push(' ');
                    node = next;
                }
                several => {
                    if node.number.is_some() && !several.is_empty() {
                        out.push(' ');
                    }
                    for child in several {
                        if depth < DEPTH_MAX {
                            out.push('(');
                            self.print(*child, depth + 1, out);
                            out.push(')');
                        } else {
                            self.print_flat(*child, out);
                        }
                    }
                    return;
                }
            }
        }
    }

    fn print_flat(&self, root: usize, out: &mut String) {
        let mut open = vec![root];
        while let Some(node) = open.pop().and_then(|at| self.node(at)) {
            if let Some(number) = node.number {
                let _ = write!(out, "({number})");
            }
            open.extend(&node.children);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    fn mail(id: &str, references: &str, subject: &str, at: i64) -> Message {
        let references =
            if references.is_empty() { String::new() } else { format!("References: {references}\r\n") };
        let text = format!("Message-ID: <{id}>\r\n{references}Subject: {subject}\r\n\r\nx\r\n");
        Message::of(text.into_bytes().into(), DateTime::from_timestamp(at, 0).unwrap(), BTreeSet::new())
    }

    fn run(mails: &[Message], algorithm: Algorithm) -> String {
        threads(&(1..).zip(mails).collect::<Vec<_>>(), algorithm)
    }

    /// As Dovecot 2.3.19.1 printed them for the same mails.
    #[test]
    fn threads_are_dovecots() {
        let mails = [
            mail("1@x", "", "Start", 10),
            mail("2@x", "<1@x>", "Re: Start", 20),
            mail("3@x", "<1@x>", "Re: Start", 30),
            mail("4@x", "<1@x> <2@x>", "Re: Start", 40),
            mail("5@x", "", "Alone", 15),
            mail("6@x", "<gone@x>", "Re: lost", 50),
            mail("7@x", "<gone@x>", "Re: lost", 60),
            mail("8@x", "", "Re: alone", 70),
        ];
        assert_eq!(run(&mails, Algorithm::References), "(1 (2 4)(3))(5 8)((6)(7))");
        assert_eq!(run(&mails, Algorithm::Refs), "(5)(1 (2 4)(3))((6)(7))(8)");
        assert_eq!(run(&mails, Algorithm::OrderedSubject), "(1 (2)(3)(4))(5 8)(6 7)");
        assert_eq!(run(&[], Algorithm::References), "");
        let ring = [mail("a@x", "<b@x>", "s", 1), mail("b@x", "<a@x>", "t", 2), mail("a@x", "", "u", 3)];
        assert_eq!(run(&ring, Algorithm::Refs), "(2 1)(3)");
        let same = [
            mail("1@x", "", "Re: same", 10),
            mail("2@x", "", "Re: same", 20),
            mail("3@x", "", "same", 30),
            mail("4@x", "", "same", 40),
            mail("5@x", "", "[list] Same (fwd)", 50),
        ];
        assert_eq!(run(&same, Algorithm::References), "((3 (1)(2))(4)(5))");
        assert_eq!(run(&same, Algorithm::OrderedSubject), "(1 (2)(3)(4)(5))");
    }

    proptest! {
        #[test]
        fn every_message_is_in_one_thread(
            mails in proptest::collection::vec((0u8..12, proptest::collection::vec(0u8..12, 0..4), 0u8..4, any::<bool>()), 0..30),
            which in 0usize..3,
        ) {
            let mails: Vec<Message> = mails
                .iter()
                .zip(0..)
                .map(|((id, references, subject, answer), at)| {
                    let references: Vec<String> = references.iter().map(|id| format!("<{id}>")).collect();
                    let mark = if *answer { "Re: " } else { "" };
                    mail(&id.to_string(), &references.join(" "), &format!("{mark}s{subject}"), at)
                })
                .collect();
            let algorithm = [Algorithm::References, Algorithm::Refs, Algorithm::OrderedSubject][which];
            let out = run(&mails, algorithm);
            let mut numbers: Vec<usize> =
                out.split(['(', ')', ' ']).filter_map(|word| word.parse().ok()).collect();
            numbers.sort_unstable();
            prop_assert_eq!(numbers, (1..=mails.len()).collect::<Vec<_>>(), "{}", out);
            let depth = out.chars().fold(0i32, |depth, c| depth + i32::from(c == '(') - i32::from(c == ')'));
            prop_assert_eq!(depth, 0);
        }
    }
}
