//! Keyed prose: what the invented company does and how its site says it.
//!
//! Every sentence is picked by its own label and carries names, numbers and products of this decky, so that no
//! two deckies share a page. It deliberately writes no markup: see `site`.

use decnet_core::{HostPersona, Seed};

/// A line of business with its words.
pub struct Trade {
    /// How the site names it.
    pub name: &'static str,
    /// What is sold.
    pub offers: &'static [&'static str],
    /// Who buys it.
    pub clients: &'static [&'static str],
}

const TRADES: &[Trade] = &[
    Trade {
        name: "industrial automation",
        offers: &[
            "PLC programming",
            "line retrofits",
            "SCADA integration",
            "remote monitoring",
            "spare-part logistics",
            "safety audits",
        ],
        clients: &["bottling plants", "paper mills", "food processors", "packaging lines"],
    },
    Trade {
        name: "freight and logistics",
        offers: &[
            "groupage transport",
            "customs clearance",
            "contract warehousing",
            "temperature-controlled freight",
            "last-mile delivery",
            "fleet leasing",
        ],
        clients: &["regional retailers", "spare-part dealers", "wholesalers", "online shops"],
    },
    Trade {
        name: "laboratory services",
        offers: &[
            "water analysis",
            "soil sampling",
            "calibration",
            "allergen testing",
            "stability studies",
            "method validation",
        ],
        clients: &["municipal utilities", "dairies", "cosmetics makers", "growers"],
    },
    Trade {
        name: "building services",
        offers: &[
            "heat-pump planning",
            "ventilation upkeep",
            "fire-door inspection",
            "lift maintenance",
            "energy audits",
            "metering",
        ],
        clients: &["housing associations", "hospitals", "school boards", "property managers"],
    },
    Trade {
        name: "insurance brokerage",
        offers: &[
            "fleet cover",
            "cyber policies",
            "trade credit",
            "claims handling",
            "risk surveys",
            "pension schemes",
        ],
        clients: &["family businesses", "hauliers", "clinics", "craft firms"],
    },
    Trade {
        name: "precision machining",
        offers: &[
            "five-axis milling",
            "wire erosion",
            "small-series turning",
            "fixture design",
            "surface finishing",
            "measuring services",
        ],
        clients: &["medical-device makers", "pump builders", "aerospace suppliers", "toolmakers"],
    },
    Trade {
        name: "managed IT services",
        offers: &[
            "endpoint care",
            "backup hosting",
            "network refresh",
            "service desk",
            "licence reviews",
            "cloud migration",
        ],
        clients: &["law offices", "architects", "charities", "mid-size manufacturers"],
    },
    Trade {
        name: "agricultural supply",
        offers: &[
            "seed advice",
            "drip irrigation",
            "storage silos",
            "crop insurance paperwork",
            "machine hire",
            "soil maps",
        ],
        clients: &["fruit growers", "dairy farms", "vineyards", "co-operatives"],
    },
    Trade {
        name: "printing and packaging",
        offers: &[
            "folding cartons",
            "label printing",
            "prototype packs",
            "warehouse call-off",
            "colour proofing",
            "mailing services",
        ],
        clients: &["breweries", "chocolate makers", "pharmacies", "museums"],
    },
    Trade {
        name: "engineering consultancy",
        offers: &[
            "structural review",
            "drainage design",
            "tender support",
            "site supervision",
            "noise studies",
            "bridge inspection",
        ],
        clients: &["town councils", "rail operators", "developers", "ports"],
    },
];

const LEADS: &[&str] = &[
    "Since {year}, {company} has stood for {trade} without surprises.",
    "{company} is a team of {staff} people working in {trade}.",
    "What began in {year} as a workshop on {street} is today one of the region's addresses for {trade}.",
    "For {clients} who need {offer}, {company} has been the first call since {year}.",
    "{staff} colleagues, one switchboard, no call centre: that is how {company} does {trade}.",
    "We keep {clients} running. {company} has done so since {year}.",
];
const BODIES: &[&str] = &[
    "Most of our work is {offer} and {offer2}; roughly {percent} percent of it comes from customers we have known for more than {years} years.",
    "Our planners answer within {hours} working hours, and every order gets a named contact who stays with it to the invoice.",
    "In the past financial year we completed {orders} orders for {clients}, from {offer} to {offer2}.",
    "All records of {offer} are kept for {years} years and can be read at any time through the customer portal.",
    "A second location near the {street} depot takes over whenever the main site is closed for maintenance.",
    "We publish our delivery reliability every quarter: it has not been below {percent} percent since {year2}.",
    "New colleagues start with {hours} weeks on the shop floor, whatever their later job: it shows in how we write offers.",
    "{offer} remains the heart of the company; {offer2} joined it in {year2} at the request of {clients}.",
];
const NEWS: &[&str] = &[
    "New opening hours for {offer}",
    "Portal upgrade finished: please sign in once with your old password",
    "{company} extends its framework agreement with {clients}",
    "Audit passed: {percent} of 100 points",
    "Apprenticeships {year3}: {hours} places in {offer}",
    "Maintenance window on the {street} site",
    "Price list {year3} for {offer2} is available in the portal",
    "We are looking for reinforcement in {offer}",
];
const STREETS: &[&str] = &[
    "Mill Lane",
    "Harbour Road",
    "Station Street",
    "Foundry Way",
    "Orchard Close",
    "Quarry Road",
    "Canal Street",
    "Garden Row",
    "Kiln Yard",
    "Bridge Street",
    "Tanner's Walk",
    "North Gate",
    "Weir Lane",
    "Market Place",
];

/// The voice of one company.
pub struct Voice<'a> {
    seed: Seed,
    persona: &'a HostPersona,
    trade: &'static Trade,
    year_now: i32,
}

impl<'a> Voice<'a> {
    /// The voice of this decky; `year_now` keeps texts such as price lists current.
    pub fn new(seed: &Seed, persona: &'a HostPersona, year_now: i32) -> Self {
        let seed = seed.child("text");
        let trade = seed.child("trade").pick(TRADES).unwrap_or(&FALLBACK);
        Self { seed, persona, trade, year_now }
    }

    /// The line of business.
    pub fn trade(&self) -> &'static Trade {
        self.trade
    }

    /// Street and house number.
    pub fn street(&self) -> String {
        let seed = self.seed.child("street");
        format!("{} {}", seed.child("number").range(1..=180), seed.pick(STREETS).unwrap_or(&"Main Street"))
    }

    /// Telephone number; 555-01xx is set aside for fiction.
    pub fn phone(&self) -> String {
        let seed = self.seed.child("phone");
        format!("+1 {} 555 01{:02}", seed.child("area").range(201..=989), seed.range(0..=99))
    }

    /// An opening sentence for this place on the site.
    pub fn lead(&self, place: &str) -> String {
        self.fill(&self.seed.child("lead").child(place), LEADS)
    }

    /// `count` different sentences for this place.
    pub fn body(&self, place: &str, count: usize) -> Vec<String> {
        self.several(place, "body", count, BODIES)
    }

    /// `count` different headlines.
    pub fn news(&self, count: usize) -> Vec<String> {
        self.several("news", "headline", count, NEWS)
    }

    fn several(&self, place: &str, what: &str, count: usize, bank: &[&'static str]) -> Vec<String> {
        let mut bank = bank.to_vec();
        let mut out = Vec::new();
        for at in 0..count {
            let seed = self.seed.child(what).child(place).child(at.to_string());
            let Some(pick) = seed.pick(&bank).copied() else { break };
            bank.retain(|other| *other != pick);
            out.push(self.fill(&seed, &[pick]));
        }
        out
    }

    fn fill(&self, seed: &Seed, bank: &[&'static str]) -> String {
        let number = |label: &str, range| seed.child(label).range(range).to_string();
        let offer = seed.child("offer").pick(self.trade.offers).copied().unwrap_or_default();
        let others: Vec<&str> = self.trade.offers.iter().copied().filter(|other| *other != offer).collect();
        let founded = self.seed.child("founded").range(1921..=2011);
        let template = seed.child("sentence").pick(bank).copied().unwrap_or_default();
        let text = template
            .replace("{company}", &self.persona.company)
            .replace("{trade}", self.trade.name)
            .replace("{offer2}", seed.child("offer2").pick(&others).copied().unwrap_or_default())
            .replace("{offer}", offer)
            .replace("{clients}", seed.child("clients").pick(self.trade.clients).copied().unwrap_or_default())
            .replace("{street}", &self.street())
            .replace("{staff}", &self.seed.child("staff").range(18..=420).to_string())
            .replace("{years}", &number("years", 5..=15))
            .replace("{year2}", &number("year2", 2012..=2021))
            .replace("{year3}", &(self.year_now + 1).to_string())
            .replace("{year}", &founded.to_string())
            .replace("{hours}", &number("hours", 2..=9))
            .replace("{orders}", &number("orders", 210..=9400))
            .replace("{percent}", &number("percent", 81..=98));
        let mut chars = text.chars();
        match chars.next() {
            Some(first) => first.to_uppercase().chain(chars).collect(),
            None => text,
        }
    }
}

static FALLBACK: Trade = Trade { name: "trade", offers: &["advice"], clients: &["customers"] };
