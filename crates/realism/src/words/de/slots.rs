//! German: lists that templates draw from.
//!
//! Lists of things with an article hold feminine and neuter words only, whose nominative is their accusative; the dative has a
//! list of its own in the same order. Everything in `meeting` and `position` is feminine, everything in `cost` plural.

/// By slot.
#[rustfmt::skip]
pub(super) static SLOTS: &[(&str, &[&str])] = &[
    ("when", &[
        "heute noch", "morgen", "morgen früh", "am {day}", "bis {day}", "vor {day}", "gleich am {day}", "{day} früh", "am {day} gegen {time}", "diese Woche noch",
        "nächste Woche", "bis zum {soon}", "vor dem {soon}", "Ende {month_ahead}", "Mitte {month_ahead}", "vor der {meeting}", "nach der {meeting}",
        "sobald {who} zurück ist", "um {time}", "vor Monatsende", "bis Ende der Woche", "im {month_ahead}", "am {soon}", "nach dem Urlaub von {who}",
        "vor dem Feierabend", "in {n} Tagen", "übernächste Woche", "am späten Nachmittag",
    ]),
    ("since", &[
        "seit {day}", "seit dem {past}", "seit {n} Tagen", "seit {n} Wochen", "seit der {meeting}", "seit der Umstellung auf {version}", "seit Anfang {month}",
        "seit etwa {time}", "schon länger", "seit dem Umzug in {room}", "seit dem Urlaub von {who}",
    ]),
    ("past_when", &[
        "gestern", "am {day}", "letzte Woche", "vor der {meeting}", "nach der {meeting}", "am {past}", "heute früh", "vorgestern", "im {month}", "am {day} um {time}",
        "am {past} gegen {time}", "vor {n} Tagen",
    ]),
    ("deadline", &[
        "bis {day}", "bis zum {soon}", "bis Ende {month_ahead}", "bis Mitte {month_ahead}", "vor der {meeting}", "bis {day} Mittag", "bis Ende der Woche",
        "vor Monatsende", "innerhalb von {n} Tagen", "spätestens am {day}", "spätestens zum {soon}", "bis zur {meeting}", "bis {day} um {time}",
    ]),
    ("sched", &[
        "am {day}", "am {day} um {time}", "morgen", "am {soon}", "nächste Woche", "am {day} früh", "im {month_ahead}", "am {soon} um {time}", "Ende {month_ahead}",
        "übernächste Woche", "gleich nach der {meeting}", "heute um {time}", "am {day}nachmittag",
    ]),
    ("meeting", &[
        "Teamrunde", "Budgetrunde", "Besprechung", "Planungsrunde", "Übergabe", "Schulung", "Vorführung", "Brandschutzübung", "Inventur", "Betriebsversammlung",
        "Klausurtagung", "Abteilungsrunde", "Telefonkonferenz", "Begehung", "Lieferantenrunde", "Projektsitzung", "Vertriebsrunde", "Monatsbesprechung",
        "Retrospektive", "Abnahme", "Leitungsrunde", "Sitzung zu {project}", "Abstimmung mit {supplier}", "Quartalsbesprechung", "Kundenpräsentation",
        "Sicherheitsunterweisung", "Wochenbesprechung", "Vorbesprechung", "Einarbeitung", "Runde mit {who}", "Videokonferenz", "Prüfung",
    ]),
    ("thing", &[
        "Angebot", "Rechnung", "Lieferung", "Stückliste", "Preisliste", "Urlaubsliste", "Bestellung", "Kündigung", "Auswertung", "Übersicht", "Protokoll",
        "Vereinbarung", "Vollmacht", "Auftragsbestätigung", "Inventarliste", "Checkliste", "Präsentation", "Vorlage", "Formular", "Gutachten", "Anfrage",
        "Abrechnung", "Telefonliste", "Kalkulation", "Risikoliste", "Zeitplanung", "Abnahmeerklärung", "Packliste", "Schlüsselliste", "Wartungsliste",
        "Stellenbeschreibung", "Reklamation", "Rahmenvereinbarung", "Mängelliste", "Monatsauswertung", "Prognose", "Versicherungsbestätigung", "Datenblatt",
        "Muster", "Anleitung",
    ]),
    ("thing_nom", &[
        "das Angebot", "die Rechnung", "die Lieferung", "die Stückliste", "die Preisliste", "die Urlaubsliste", "die Bestellung", "die Kündigung", "die Auswertung",
        "die Übersicht", "das Protokoll", "die Vereinbarung", "die Vollmacht", "die Auftragsbestätigung", "die Inventarliste", "die Checkliste", "die Präsentation",
        "die Vorlage", "das Formular", "das Gutachten", "die Anfrage", "die Abrechnung", "die Telefonliste", "die Kalkulation", "die Risikoliste",
        "die Zeitplanung", "die Abnahmeerklärung", "die Packliste", "die Schlüsselliste", "die Wartungsliste", "die Stellenbeschreibung", "die Reklamation",
        "die Rahmenvereinbarung", "die Mängelliste", "die Monatsauswertung", "die Prognose", "die Versicherungsbestätigung", "das Datenblatt", "das Muster",
        "die Anleitung",
    ]),
    ("thing_dat", &[
        "dem Angebot", "der Rechnung", "der Lieferung", "der Stückliste", "der Preisliste", "der Urlaubsliste", "der Bestellung", "der Kündigung", "der Auswertung",
        "der Übersicht", "dem Protokoll", "der Vereinbarung", "der Vollmacht", "der Auftragsbestätigung", "der Inventarliste", "der Checkliste", "der Präsentation",
        "der Vorlage", "dem Formular", "dem Gutachten", "der Anfrage", "der Abrechnung", "der Telefonliste", "der Kalkulation", "der Risikoliste",
        "der Zeitplanung", "der Abnahmeerklärung", "der Packliste", "der Schlüsselliste", "der Wartungsliste", "der Stellenbeschreibung", "der Reklamation",
        "der Rahmenvereinbarung", "der Mängelliste", "der Monatsauswertung", "der Prognose", "der Versicherungsbestätigung", "dem Datenblatt", "dem Muster",
        "der Anleitung",
    ]),
    ("doc", &[
        "{thing_nom} für {supplier}", "{thing_nom} vom {past}", "{thing_nom} zu {project}", "{thing_nom} von {who}", "die Zusammenfassung der {meeting}",
        "die Tabelle für {month}", "die Fassung {version}", "die Liste der offenen Punkte zu {project}", "{thing_nom} über {amount}", "die Übersicht für {month}",
        "{thing_nom} aus {city}", "die Mappe zu {project}", "das Dossier von {who}", "{thing_nom} für {month_ahead}", "die Kopie für {who}",
    ]),
    ("contact", &[
        "{supplier}", "{who}", "{other}", "die Hausverwaltung", "die Steuerberatung", "die Versicherung", "die Bank", "die Spedition", "die Reinigungsfirma",
        "die Reiseagentur", "die Kanzlei", "die Druckerei", "die Elektrofirma", "die Zentrale", "die Hotline von {supplier}", "die Wirtschaftsprüfung",
        "die Krankenkasse", "die Leitung in {city}", "die Stadtverwaltung", "die Berufsgenossenschaft", "die Handelskammer", "die Telefongesellschaft",
        "die Alarmfirma", "die Disposition von {supplier}", "die Buchhaltung von {supplier}", "die Arbeitsagentur", "die Filiale in {city}", "die Werkstatt",
    ]),
    ("contact_dat", &[
        "{supplier}", "{who}", "{other}", "der Hausverwaltung", "der Steuerberatung", "der Versicherung", "der Bank", "der Spedition", "der Reinigungsfirma",
        "der Reiseagentur", "der Kanzlei", "der Druckerei", "der Elektrofirma", "der Zentrale", "der Hotline von {supplier}", "der Wirtschaftsprüfung",
        "der Krankenkasse", "der Leitung in {city}", "der Stadtverwaltung", "der Berufsgenossenschaft", "der Handelskammer", "der Telefongesellschaft",
        "der Alarmfirma", "der Disposition von {supplier}", "der Buchhaltung von {supplier}", "der Arbeitsagentur", "der Filiale in {city}", "der Werkstatt",
    ]),
    ("place", &[
        "in Raum {room}", "in der Küche im {digit}. Stock", "im Archiv", "an der Rampe", "im Serverraum", "am Empfang", "im Keller", "auf dem Parkplatz", "in der Kantine",
        "in der Werkstatt", "im Besprechungsraum {room}", "im Lager", "im Kopierraum", "im Flur vor {room}", "auf der Dachterrasse", "in der Garderobe",
        "im Schulungsraum", "im Fahrradkeller", "am Hintereingang", "am Seiteneingang", "in der Poststelle", "im Labor", "im Treppenhaus", "in der Tiefgarage",
    ]),
    ("digit", &["1", "2", "3", "4", "5", "6"]),
    ("nights", &["2", "3", "4", "5"]),
    ("rate", &["{n} %", "{n},5 %", "1{digit} %", "{digit},{digit} %"]),
    ("item", &[
        "Toner", "{n} Headsets", "Stifte fürs Whiteboard", "{n} Stühle", "Kaffee", "Steckdosenleisten", "Papier", "{n} Tastaturen", "{nn} Besucherausweise",
        "Umschläge", "{n} Schreibtischlampen", "Batterien", "{n} Adapter", "Visitenkarten für {who}", "{n} Schließfächer", "Verbandsmaterial", "Feuerlöscher",
        "Handtücher", "Etiketten", "{n} Monitore", "Briefmarken", "Mineralwasser", "Trennwände", "Aktenordner", "{n} Dockingstationen", "Kabelbinder", "Glühlampen",
        "{n} Paletten", "Kartons", "Reinigungsmittel", "Namensschilder", "Ersatzschlüssel für {room}", "Arbeitshandschuhe", "Pflanzen für {room}",
    ]),
    ("device", &[
        "die Kaffeemaschine", "die Spülmaschine", "die Frankiermaschine", "das Kopiergerät", "die Klimaanlage", "das Whiteboard", "die Schneidemaschine",
        "die Alarmanlage", "die Stechuhr", "das Konferenztelefon", "die Dockingstation von {who}", "das Notebook von {who}", "die Türsprechanlage", "die Jalousie",
        "die Heizung", "die Lüftung", "das Rolltor", "die Hebebühne", "die Kamera {place}", "das Kartenlesegerät", "die Lampe {place}", "die Waage",
        "das Telefon von {who}", "die Etikettenpresse", "das Licht {place}", "die Tür {place}",
    ]),
    ("system", &[
        "das Ticketsystem", "das Wiki", "die Zeiterfassung", "das CRM", "das Intranet", "die Dateiablage", "die Telefonanlage", "das Monitoring", "das ERP",
        "die Buchungsmaske", "das Personalportal", "das Rechnungsarchiv", "die Lohnsoftware", "das Testsystem", "die Warenwirtschaft", "die Terminverwaltung",
        "das Dokumentenarchiv", "die Reisebuchung", "die Passwortverwaltung", "das Bestellportal", "die Raumbuchung", "das Kundenportal",
    ]),
    ("system_dat", &[
        "dem Ticketsystem", "dem Wiki", "der Zeiterfassung", "dem CRM", "dem Intranet", "der Dateiablage", "der Telefonanlage", "dem Monitoring", "dem ERP",
        "der Buchungsmaske", "dem Personalportal", "dem Rechnungsarchiv", "der Lohnsoftware", "dem Testsystem", "der Warenwirtschaft", "der Terminverwaltung",
        "dem Dokumentenarchiv", "der Reisebuchung", "der Passwortverwaltung", "dem Bestellportal", "der Raumbuchung", "dem Kundenportal",
    ]),
    ("service", &[
        "nginx", "postfix", "dovecot", "squid", "postgres", "mariadb", "redis", "samba", "cron", "slapd", "chrony", "bind", "der DHCP-Dienst", "rsyslog", "haproxy",
        "der Git-Dienst", "sshd", "der NFS-Dienst", "elasticsearch", "grafana", "prometheus", "rabbitmq", "der Backup-Agent", "php-fpm", "tomcat", "cups", "fail2ban",
        "memcached",
    ]),
    ("daemon", &[
        "nginx", "postfix", "dovecot", "squid", "postgres", "mariadb", "redis", "samba", "cron", "slapd", "chrony", "bind", "isc-dhcp-server", "rsyslog", "haproxy",
        "gitea", "sshd", "nfsd", "elasticsearch", "grafana", "prometheus", "rabbitmq", "bareos-fd", "php-fpm", "tomcat", "cups", "fail2ban", "memcached",
    ]),
    ("part", &[
        "Platte {n}", "das zweite Netzteil", "die Pufferbatterie", "die Leitung nach {city}", "Port {nn}", "die USV", "das Modul in Port {nn}", "ein Speicherriegel",
        "das Bandlaufwerk", "das Konsolenkabel", "die zweite Netzwerkkarte", "die Stromleiste in Rack {n}", "die Boot-SSD", "die Schienen", "das Lüftermodul",
    ]),
    ("symptom", &[
        "ist sehr langsam", "fällt gegen {time} aus", "braucht einen Neustart", "schreibt die Platte voll", "wirft Fehler", "antwortet erst nach {nn} Sekunden",
        "liegt bei {percent} Last", "verliert die Verbindung", "läuft ins Limit", "warnt wegen der Zertifikate", "startet nicht mehr", "fragt zweimal nach dem Passwort",
        "zeigt das falsche Datum", "steht bei {percent}", "hängt beim Anmelden", "schickt alles doppelt", "hat zu wenig Speicher", "hört bei Schritt {n} auf",
        "ist aus {room} nicht zu erreichen", "übernimmt die neuen Einstellungen nicht",
    ]),
    ("feature", &[
        "die Suche", "die Anmeldung", "das Formular für Adressen", "die Rechnungsansicht", "die Filterung der Berichte", "die Passwortrücksetzung", "die Vorschau",
        "die mobile Ansicht", "das Änderungsprotokoll", "die Rechteverwaltung", "die Datumsauswahl", "die Preisberechnung", "die Wiederholungslogik",
        "die CSV-Verarbeitung", "die Warteschlange", "die Einstellungsseite", "die Migration für {project}", "die Benachrichtigung", "die Sitzungsverwaltung",
        "die Rundung der Summen", "die Blätterfunktion", "die Drosselung", "die nächtliche Synchronisation", "die Schnittstelle zu {supplier}",
    ]),
    ("feature_dat", &[
        "der Suche", "der Anmeldung", "dem Formular für Adressen", "der Rechnungsansicht", "der Filterung der Berichte", "der Passwortrücksetzung", "der Vorschau",
        "der mobilen Ansicht", "dem Änderungsprotokoll", "der Rechteverwaltung", "der Datumsauswahl", "der Preisberechnung", "der Wiederholungslogik",
        "der CSV-Verarbeitung", "der Warteschlange", "der Einstellungsseite", "der Migration für {project}", "der Benachrichtigung", "der Sitzungsverwaltung",
        "der Rundung der Summen", "der Blätterfunktion", "der Drosselung", "der nächtlichen Synchronisation", "der Schnittstelle zu {supplier}",
    ]),
    ("bug", &[
        "bricht bei leerer Eingabe ab", "liegt um einen Tag daneben", "verschluckt Umlaute", "scheitert ab {nnn} Zeilen", "liefert {n} Zeilen zu viel",
        "beachtet die Zeitzone nicht", "ist bei {nnn} Einträgen langsam", "zeigt alte Daten", "geht hinter dem Proxy nicht", "rundet ab {amount} falsch",
        "zählt Gutschriften doppelt", "sortiert nach Namen statt nach Datum", "verliert die letzte Zeile", "geht mit Version {version} nicht mehr",
        "läuft auf {host} in ein Timeout", "nimmt auch ein Datum in der Vergangenheit an", "schreibt den Grund nicht ins Log",
    ]),
    ("branch", &["der Branch zu {ticket}", "Release {version}", "der Hotfix für {ticket}", "der Branch von {who}", "{ticket}", "das Repo {project}", "Tag {version}", "der Build {version}"]),
    ("lib", &[
        "die PDF-Bibliothek", "das ORM", "die HTTP-Bibliothek", "das Basis-Image", "die JVM", "node", "python", "die Datumsbibliothek", "das Logging-Paket",
        "die Template-Engine", "die Oberflächenbibliothek", "openssl", "die Testumgebung", "das XML-Paket",
    ]),
    ("net", &[
        "VLAN {nn}", "das Gäste-WLAN", "das Büronetz", "die DMZ", "die Firewall-Regel für {supplier}", "die Route zu {host}", "die Proxy-Ausnahme für {project}",
        "das Netz im {digit}. Stock", "Port 8{nnn}", "die VPN-Strecke zu {supplier}", "das Kameranetz", "die Leitung nach {city}", "das Telefonnetz", "die DNS-Zone",
    ]),
    ("dir", &[
        "/var/log", "/srv/data", "/home", "/var/lib/postgresql", "/srv/backup", "/opt/{project}", "/var/spool", "/srv/share", "/tmp", "/var/www", "/boot",
        "/srv/{project}", "/data", "/mnt/archiv", "/var/cache", "/usr/local/bin", "/etc/ssl", "/srv/git", "/var/mail",
    ]),
    ("cost", &[
        "Reisekosten", "Lizenzgebühren", "Schulungskosten", "Frachtkosten", "Stromkosten", "Nebenkosten", "Portokosten", "Telefonkosten", "Reinigungskosten",
        "Versicherungskosten", "Reparaturkosten", "Messekosten", "Beratungskosten", "Leasingraten", "Wartungskosten", "Übersetzungskosten", "Druckkosten",
        "Entsorgungskosten", "Werbekosten", "Hostinggebühren", "Parkgebühren", "Bewirtungskosten", "Personalkosten", "Umzugskosten", "Bankgebühren", "Mietkosten",
    ]),
    ("account", &["Kostenstelle {nnn}", "Konto {nnn}", "Konto 4{nnn}", "Kostenstelle {nn}", "das Budget von {project}", "das Verrechnungskonto", "die Barkasse", "das Kreditorenkonto {supplier}"]),
    ("money_issue", &[
        "ist um {amount} zu niedrig", "wurde doppelt gebucht", "passt nicht zum Kontoauszug", "hat keine USt-IdNr.", "hat keine Bestellnummer", "ist {since} offen",
        "hat die falsche Anschrift", "wurde am {past} bezahlt", "braucht eine zweite Unterschrift", "gehört in den {month}", "hat den falschen Steuersatz",
        "wurde auf {n} Kostenstellen verteilt", "wird von {who} bestritten", "ist {deadline} fällig", "hat keinen Beleg",
    ]),
    ("customer_act", &[
        "will ein neues Angebot", "fragt nach {rate} Rabatt", "schiebt den Start auf {month_ahead}", "braucht {nn} Plätze mehr", "reklamiert {thing_nom}",
        "entscheidet bis {day}", "will die Vorführung noch einmal sehen", "fragt nach der Lieferzeit", "hat am {past} unterschrieben", "zahlt in {n} Raten",
        "möchte Referenzen", "braucht {thing_nom} schriftlich", "hat für {day} abgesagt", "vergleicht uns mit {other_supplier}", "bittet um Rückruf um {time}",
        "schickt {nn} Stück zurück", "ist mit {project} zufrieden", "möchte eine Sammelrechnung", "verdoppelt die Bestellung", "wartet auf die Geschäftsleitung",
    ]),
    ("people_topic", &[
        "das Probezeitgespräch", "die Vertragsverlängerung", "die Elternzeit", "das Zeugnis", "die Weiterbildung", "die Teilzeitregelung", "die Homeoffice-Regelung",
        "die Gehaltsrunde", "die Stellenanzeige", "die Einarbeitung", "die Krankmeldung", "die Überstundenabrechnung", "das Dienstrad", "die Altersvorsorge",
        "das Austrittsgespräch", "das Jubiläum", "das Praktikum", "die Bonuszahlung", "das Zeitkonto", "das Jahresgespräch", "die Urlaubsübertragung", "das Sommerfest",
    ]),
    ("people_topic_dat", &[
        "dem Probezeitgespräch", "der Vertragsverlängerung", "der Elternzeit", "dem Zeugnis", "der Weiterbildung", "der Teilzeitregelung", "der Homeoffice-Regelung",
        "der Gehaltsrunde", "der Stellenanzeige", "der Einarbeitung", "der Krankmeldung", "der Überstundenabrechnung", "dem Dienstrad", "der Altersvorsorge",
        "dem Austrittsgespräch", "dem Jubiläum", "dem Praktikum", "der Bonuszahlung", "dem Zeitkonto", "dem Jahresgespräch", "der Urlaubsübertragung", "dem Sommerfest",
    ]),
    ("position", &[
        "Stelle in der Buchhaltung", "Stelle im Vertrieb", "Stelle in der IT", "Stelle am Empfang", "Teamleitung im Lager", "Projektleitung für {project}",
        "Vertretung von {who}", "Stelle in der Entwicklung", "Stelle im Einkauf", "Assistenz von {who}", "Ausbildungsstelle", "Werkstudentenstelle",
        "Stelle im Kundendienst", "Stelle im Controlling", "Aushilfe im Versand", "Stelle in der Personalabteilung",
    ]),
    ("city", &[
        "Wien", "Hamburg", "München", "Graz", "Basel", "Köln", "Leipzig", "Linz", "Zürich", "Stuttgart", "Dresden", "Hannover", "Nürnberg", "Bremen", "Kassel", "Ulm",
        "Freiburg", "Salzburg", "Bern", "Mainz", "Erfurt", "Münster", "Augsburg", "Kiel",
    ]),
    ("snack", &["Kuchen", "Obst", "belegte Brötchen", "Kaffee und Wasser", "Mittagessen für {n}", "Brezeln", "Getränke", "eine Suppe", "Gebäck", "ein Buffet für {nn} Leute"]),
    ("amount_of", &["{n} von {nn}", "{percent}", "{nn} Stück", "{nnn} Positionen", "{n} Kartons", "{nn} Stunden", "{n} Tage", "{amount}", "{nn} Zeilen", "{n} Seiten"]),
    ("outcome", &[
        "sieht gut aus", "noch offen", "braucht noch eine Woche", "ist abgestimmt", "verschoben auf {day}", "noch keine Antwort", "wartet auf {who}",
        "fertig bis auf {thing_nom}", "wird noch bestätigt", "erst im {month_ahead}", "macht jetzt {other}", "günstiger als gedacht", "mehr Arbeit als geplant",
        "wird {sched} besprochen", "halb fertig", "wie am {day} besprochen", "von {who} freigegeben", "ruht bis {soon}", "abgelehnt von {who}", "{who} kümmert sich",
    ]),
];
