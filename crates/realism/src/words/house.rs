//! The few suppliers, projects, rooms and ticket queues that everyone of a mail domain writes of: a company calls its printer
//! firm by one name.
//!
//! No catalogue of real firms: names are put together from parts and mean nobody.

use rand::RngExt;

use crate::{Draw, Persona};

/// A company's stable vocabulary, by the domain of its people and their fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct House(u64);

const HEADS: &[&str] = &[
    "Hal", "Bren", "Nor", "Kess", "Tal", "Mar", "Wes", "Ald", "Ber", "Corn", "Dal", "Fen", "Gar", "Hol",
    "Isen", "Kal", "Lan", "Mell", "Oster", "Pell", "Rand", "Sel", "Thorn", "Ulm", "Vell", "Win", "Bar",
    "Crom", "Ell", "Lind",
];
const TAILS: &[&str] = &[
    "den", "ner", "wick", "mann", "land", "mark", "berg", "ford", "ston", "ler", "ing", "holm", "dorf",
    "sen", "ton", "haus", "field", "brook", "vik", "beck",
];
const TRADES: &[&str] = &[
    "",
    "",
    "",
    "",
    "",
    "",
    " & Co",
    " Group",
    " Print",
    " Media",
    " Systems",
    " Logistics",
    " Energy",
    " Telecom",
    " Partners",
    " Consult",
    " Immo",
    " Data",
];
const PROJECTS: &[&str] = &[
    "atlas",
    "harbor",
    "cedar",
    "orion",
    "bluebird",
    "summit",
    "lighthouse",
    "kestrel",
    "juniper",
    "delta",
    "polaris",
    "granite",
    "meridian",
    "saffron",
    "tango",
    "rubicon",
    "vega",
    "willow",
    "zephyr",
    "amber",
    "boreal",
    "cobalt",
    "dragonfly",
    "ember",
    "falcon",
    "garnet",
    "horizon",
    "indigo",
    "jupiter",
    "karat",
    "lotus",
    "magnet",
    "nimbus",
    "opal",
    "pelican",
    "quartz",
    "raven",
    "sirius",
    "titan",
    "umbra",
    "viking",
    "walnut",
    "yukon",
    "alpine",
    "basalt",
    "compass",
    "domino",
    "everest",
    "fjord",
    "galaxy",
    "helios",
    "iris",
    "jasper",
    "krypton",
    "lagoon",
    "monsoon",
    "neptune",
    "onyx",
    "pioneer",
    "quasar",
    "rhino",
    "sapphire",
    "tundra",
    "ursa",
    "velvet",
    "wolf",
    "corvus",
    "mosaic",
    "pegasus",
    "trident",
];
const QUEUES: &[&str] = &[
    "OPS", "IT", "INC", "REQ", "CHG", "SD", "FIN", "HELP", "DEV", "INF", "SUP", "ADM", "WEB", "NET", "APP",
    "HR", "FAC", "CRM",
];

/// How many suppliers, projects and queues a company has.
const SUPPLIERS: u64 = 26;
const RUNNING: u64 = 14;
const OPEN_QUEUES: u64 = 4;

impl House {
    /// Where somebody works: the company of his mail address (without a domain, of the whole text) in his fleet.
    pub fn of(persona: &Persona) -> Self {
        let address = persona.email.as_str();
        let domain = address.rsplit('@').next().unwrap_or(address);
        Self(hash(domain.to_lowercase().as_bytes(), 0x6a09_e667_f3bc_c908 ^ persona.salt))
    }

    /// One of its suppliers.
    pub fn supplier(self, rng: &mut Draw) -> String {
        let place = self.place(1, rng.random_range(0..SUPPLIERS));
        let (head, tail) = (at(HEADS, place), at(TAILS, place >> 16));
        // "Mell" and "land" make "Melland".
        let same = head.chars().last() == tail.chars().next();
        format!("{head}{}{}", tail.get(usize::from(same)..).unwrap_or(tail), at(TRADES, place >> 32))
    }

    /// One of its projects.
    pub fn project(self, rng: &mut Draw) -> &'static str {
        self.project_at(rng.random_range(0..RUNNING))
    }

    /// The project of a number; numbers repeat.
    pub fn project_at(self, number: u64) -> &'static str {
        // Steps of a size prime to the list's length: no project twice.
        let length = u64::try_from(PROJECTS.len()).unwrap_or(1);
        at(PROJECTS, self.place(2, 0) % length + number % RUNNING * 11)
    }

    /// One of its rooms: floor and number, by the company's own way of writing them.
    pub fn room(self, rng: &mut Draw) -> String {
        let (floor, number) = (rng.random_range(0..5_u32), rng.random_range(1..25_u32));
        match self.place(3, 0) % 4 {
            0 => format!("{floor}.{number:02}"),
            1 => format!("{}{floor}{number:02}", ['A', 'B', 'C'][rng.random_range(0..3)]),
            2 => format!("{}{number:02}", floor + 1),
            _ => format!("{}-{floor}{number:02}", ['N', 'S', 'W'][rng.random_range(0..3)]),
        }
    }

    /// A ticket of about day `day` (since 1970): numbers grow over the months.
    pub fn ticket(self, day: i64, rng: &mut Draw) -> String {
        let queue = rng.random_range(0..OPEN_QUEUES);
        let place = self.place(4, queue);
        let since = u64::try_from(day.saturating_sub(18_600)).unwrap_or(0).min(20_000);
        let newest = 900 + place % 4000 + since * (1 + place % 4) / 2;
        let number = newest - rng.random_range(0..140);
        format!("{}-{number}", at(QUEUES, self.place(5, 0) % 18 + queue * 5))
    }

    /// A number of this company's for `what` and `index`.
    fn place(self, what: u64, index: u64) -> u64 {
        mix(self.0 ^ mix(what.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(index)))
    }
}

/// A stable hash (FNV-1a, then mixed), for habits; nothing secret hangs on it.
pub(crate) fn hash(bytes: &[u8], salt: u64) -> u64 {
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325 ^ salt, |state, byte| {
        (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    }))
}

/// The finaliser of splitmix64: every bit of the input reaches every bit of the output.
pub(crate) const fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The entry of a list for a number.
pub(crate) fn at(list: &'static [&'static str], number: u64) -> &'static str {
    let length = u64::try_from(list.len()).unwrap_or(1).max(1);
    usize::try_from(number % length).ok().and_then(|index| list.get(index)).copied().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use decnet_core::FleetSecret;

    use super::*;

    fn of(address: &str, salt: u64) -> House {
        let text = format!(r#"{{"name":"A","email":"{address}","role":"Ops"}}"#);
        let mut persona: Persona = serde_json::from_str(&text).unwrap();
        persona.salt = salt;
        House::of(&persona)
    }

    fn vocabulary(house: House) -> (BTreeSet<String>, BTreeSet<&'static str>) {
        let mut rng = FleetSecret::from_number(7).seed().rng();
        (
            (0..2000).map(|_| house.supplier(&mut rng)).collect(),
            (0..2000).map(|_| house.project(&mut rng)).collect(),
        )
    }

    #[test]
    fn a_company_has_a_few_suppliers_and_projects_of_its_own() {
        let (suppliers, projects) = vocabulary(of("a.park@nova.example", 1));
        assert!((18..=26).contains(&suppliers.len()), "{suppliers:?}");
        assert_eq!(projects.len(), 14);
        assert_eq!(of("b.lane@NOVA.example", 1), of("a.park@nova.example", 1));
        let (others, _) = vocabulary(of("x@quill.example", 1));
        assert!(suppliers.intersection(&others).count() < 4);
        // Who knows the domain and our source knows nothing.
        let (others, _) = vocabulary(of("a.park@nova.example", 2));
        assert!(suppliers.intersection(&others).count() < 4);
    }

    #[test]
    fn ticket_numbers_grow() {
        let house = of("a@nova.example", 1);
        let mut rng = FleetSecret::from_number(8).seed().rng();
        let mut number = |day| -> u64 {
            (0..200)
                .filter_map(|_| {
                    house.ticket(day, &mut rng).rsplit('-').next().and_then(|n| n.parse::<u64>().ok())
                })
                .sum()
        };
        let (earlier, later) = (number(20_000), number(20_700));
        assert!(later > earlier, "{earlier} {later}");
    }
}
