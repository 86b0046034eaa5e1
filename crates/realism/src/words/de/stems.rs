//! German: stems of file names. No stem of one class begins a stem of another.

/// Of notes.
#[rustfmt::skip]
pub(super) static NOTES: &[&str] = &[
    "notiz", "notizen", "merkzettel", "gemerkt", "stichworte", "ideen", "fragen", "telefonnotiz", "anrufe", "rueckrufe", "gespraech", "kontakte", "nummern", "zugang",
    "drucker", "schluessel", "preise", "hotel-reise", "anfahrt", "mitschrift", "gedanken", "sonstiges", "kleinkram", "schnell-notiert", "links-sammlung", "hinweise",
    "beobachtungen", "lieferanten", "kunden-info", "raeume", "termine", "zettel", "schmierzettel", "hintergrund", "wissen", "infos", "kniffe", "zahlen", "namen-liste",
    "urlaub-info", "telefonate", "aufgeschnappt", "zur-erinnerung", "einrichtung",
];

/// Of lists.
#[rustfmt::skip]
pub(super) static TODOS: &[&str] = &[
    "aufgaben", "zu-tun", "zutun", "offen", "offene-punkte", "erledigen", "einkaufsliste", "checkliste", "diese-woche", "naechste-woche", "heute", "morgen",
    "monatsende", "quartalsende", "vor-urlaub", "besorgungen", "nachfassen", "wiedervorlage", "abarbeiten", "packliste", "rest", "restpunkte", "naechste-schritte",
    "wochenplan", "tagesplan", "fristen", "faellig", "dringend", "prioritaeten", "wartet-auf", "arbeitsliste", "massnahmen", "vorbereitung", "uebergabeliste", "todo-liste",
    "liegengeblieben", "haekchen", "noch-machen", "ausstehend", "pendenzen", "maengelliste",
];

/// Of drafts.
#[rustfmt::skip]
pub(super) static DRAFTS: &[&str] = &[
    "entwurf", "brief", "schreiben", "protokoll", "angebot", "bericht", "aushang", "einladung", "rundmail", "rundschreiben", "vorschlag", "zusammenfassung", "antwort",
    "anschreiben", "stellungnahme", "konzept", "vermerk", "aktennotiz", "besprechung", "kuendigung", "mahnung", "reklamation", "beschwerde", "richtlinie",
    "anweisung", "tagesordnung", "vortrag", "rede", "gliederung", "beurteilung", "zeugnis", "bewerbung", "anfrage", "vertragstext", "ankuendigung", "mitteilung",
    "uebergabe", "abschlussbericht", "statusbericht", "erklaerung", "pressetext", "beschreibung", "handreichung",
];

/// Of scripts.
#[rustfmt::skip]
pub(super) static SCRIPTS: &[&str] = &[
    "sichern", "aufraeumen", "pruefen", "abgleich", "kopieren", "loeschen", "umbenennen", "zaehlen", "summe", "auswerten", "holen", "verschieben", "packen",
    "entpacken", "rotieren", "ueberwachen", "platzcheck", "zertcheck", "logsuche", "einlesen", "ausgeben", "umwandeln", "verteilen", "starten", "neustart", "abholen",
    "sortieren", "filtern", "vergleichen", "sammeln", "archivieren", "spiegeln", "abfragen", "messen", "belegung", "hostliste-holen", "zusammenfuehren", "aufteilen",
    "bereinigen", "nachladen", "dienstcheck", "backup-pruefen",
];
