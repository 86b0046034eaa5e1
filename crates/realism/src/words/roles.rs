//! What field somebody works in, by the words of his job title, whatever language it is in.

/// The fields that tables name.
pub(super) const FIELDS: [&str; 6] = ["ops", "dev", "finance", "sales", "hr", "office"];

/// Parts of job titles, lower case. The first field with a part in the title is it, so narrow words stand before wide ones.
const PARTS: &[(&str, &[&str])] = &[
    (
        "hr",
        &[
            "human",
            "hr ",
            "people",
            "recruit",
            "talent",
            "personal",
            "payroll",
            "training",
            "ressources",
            "recursos",
            "risorse",
            "kadr",
            "lohn",
        ],
    ),
    (
        "finance",
        &[
            "financ", "finanz", "account", "buchhalt", "compta", "contab", "controll", "treasur", "audit",
            "tax", "steuer", "billing", "ksieg", "księg", "ekonomi", "boekhoud", "cfo", "procure", "einkauf",
            "purchas",
        ],
    ),
    (
        "ops",
        &[
            "admin sys",
            "sysadmin",
            "system",
            "systém",
            "syst\u{e8}m",
            "network",
            "netz",
            "réseau",
            "reseau",
            "infra",
            "operations engineer",
            "devops",
            "sre",
            "reliability",
            "it ",
            "helpdesk",
            "support",
            "security",
            "sicherheit",
            "sécurité",
            "database",
            "datenbank",
            "dba",
            "sistem",
            "rete",
            "redes",
            "drift",
            "beheer",
            "informati",
            "platform",
            "cloud",
            "technik",
        ],
    ),
    (
        "dev",
        &[
            "develop",
            "entwickl",
            "développ",
            "desarroll",
            "svilupp",
            "program",
            "software",
            "engineer",
            "ingeni",
            "data",
            "qa",
            "test",
            "architect",
            "scien",
            "research",
            "forsch",
            "produkt",
            "product",
            "utveckl",
            "ontwikkel",
            "tech lead",
            "cto",
        ],
    ),
    (
        "sales",
        &[
            "sales",
            "vertrieb",
            "vente",
            "ventas",
            "vendit",
            "commerc",
            "comerc",
            "market",
            "customer",
            "kunden",
            "client",
            "business",
            "verkauf",
            "verkoop",
            "salg",
            "account manager",
            "partner",
            "communicat",
            "kommunik",
        ],
    ),
];

/// The field of a job title, one of [`FIELDS`].
pub fn field(role: &str) -> &'static str {
    let title = format!("{} ", role.to_lowercase());
    if title.contains("account manager") || title.contains("account exec") || title.contains("key account") {
        return "sales";
    }
    // "It" alone would be found inside of "recruiter".
    let padded = format!(" {title}");
    PARTS
        .iter()
        .find(|(_, parts)| {
            parts.iter().any(|part| {
                if part.len() <= 4 { padded.contains(&format!(" {part}")) } else { title.contains(part) }
            })
        })
        .map_or("office", |(field, _)| field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_of_several_languages_have_the_field_one_would_say() {
        for (title, expected) in [
            ("Systems Administrator", "ops"),
            ("IT Support", "ops"),
            ("Head of IT", "ops"),
            ("Site Reliability Engineer", "ops"),
            ("Backend Developer", "dev"),
            ("Software Engineer", "dev"),
            ("Leiterin Buchhaltung", "finance"),
            ("Financial Controller", "finance"),
            ("Account Manager", "sales"),
            ("Vertriebsleiter", "sales"),
            ("Responsable commerciale", "sales"),
            ("HR Manager", "hr"),
            ("Recruiter", "hr"),
            ("Personalreferentin", "hr"),
            ("Responsable des ressources humaines", "hr"),
            ("Administratrice réseau", "ops"),
            ("Netzwerktechniker", "ops"),
            ("Office Manager", "office"),
            ("Receptionist", "office"),
            ("Managing Director", "office"),
            ("", "office"),
        ] {
            assert_eq!(field(title), expected, "{title}");
            assert!(FIELDS.contains(&field(title)));
        }
    }
}
