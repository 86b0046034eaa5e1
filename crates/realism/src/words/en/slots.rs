//! English: lists that templates draw from.

/// By slot.
#[rustfmt::skip]
pub(super) static SLOTS: &[(&str, &[&str])] = &[
    ("when", &[
        "today", "tomorrow", "before noon", "after lunch", "on {day}", "by {day}", "before {day}", "first thing {day}", "{day} morning",
        "{day} afternoon", "this week", "next week", "by {soon}", "before {soon}", "end of {month_ahead}", "mid {month_ahead}", "before the {meeting}",
        "after the {meeting}", "when {who} is back", "once {other} has confirmed", "at {time}", "{day} {time}", "before month end",
        "by end of week", "before the holidays", "in {month_ahead}", "around {time}", "as soon as the {thing} is there",
    ]),
    ("since", &[
        "since {day}", "since {past}", "for {n} days now", "for {n} weeks", "since the {meeting}", "since {who} left for holiday",
        "since the update to {version}", "since {month}", "again since {day}", "since about {time}", "for the third time this month",
        "since we moved to {room}", "since the {thing} changed",
    ]),
    ("meeting", &[
        "weekly", "standup", "budget round", "team meeting", "review", "steering meeting", "call with {supplier}", "jour fixe", "workshop",
        "audit", "handover", "kickoff for {project}", "customer visit", "board meeting", "fire drill", "quarterly review", "retro",
        "planning round", "one-on-one with {who}", "town hall", "safety briefing", "training on {project}", "demo", "supplier meeting",
        "maintenance window", "{project} sync", "stocktaking", "site visit", "interview round", "year-end meeting",
    ]),
    ("thing", &[
        "offer", "contract", "invoice", "delivery", "quote from {supplier}", "parts list", "access list", "floor plan", "price list",
        "timesheet", "holiday list", "inventory", "maintenance plan", "phone list", "budget sheet", "delivery note", "order form",
        "insurance form", "test report", "acceptance form", "purchase order", "cost estimate", "framework agreement", "service contract",
        "checklist", "slide deck", "project plan", "risk list", "change request", "seating plan", "onboarding plan", "key list",
        "signed copy", "returns form", "packing list", "travel report", "expense report", "monthly report", "forecast", "rota",
    ]),
    ("doc", &[
        "the {project} offer", "the {thing} for {supplier}", "the draft for {who}", "the write-up of the {meeting}", "the {month} sheet",
        "the {month} report", "the revised {thing}", "the {thing} from {past}", "version {version} of the {thing}", "the {project} {thing}",
        "the summary for the {meeting}", "the open-items list of {project}", "the {thing}", "the scan of the {thing}", "the overview for {month}",
        "{who}'s {thing}", "the handover note", "the {thing} ({amount})",
    ]),
    ("contact", &[
        "{supplier}", "{who}", "{other}", "the landlord", "the tax adviser", "the insurance", "the bank", "the courier", "the caretaker",
        "the cleaning firm", "the travel agency", "the works council", "the lawyer", "the printer firm", "the electrician", "reception",
        "the help desk", "the data centre", "the carrier", "the lift company", "the auditor", "{who} in {room}", "{supplier} support",
        "the account manager at {supplier}", "the city office", "the health insurance", "the recruiter", "the parking company",
        "the phone provider", "the alarm company",
    ]),
    ("room_or_place", &[
        "room {room}", "the kitchen on floor {n}", "the archive", "the loading dock", "the server room", "reception", "the basement", "the car park",
        "the canteen", "the workshop", "meeting room {room}", "the warehouse", "the print room", "the hallway by {room}", "the roof terrace",
        "the cloakroom", "the training room", "the store room", "the bike cellar", "the back entrance", "the side entrance", "the mail room",
        "the first aid room", "the lab",
    ]),
    ("item", &[
        "toner", "a second monitor", "{n} headsets", "whiteboard markers", "{n} chairs", "the projector", "coffee", "badge holders", "{n} power strips",
        "the label printer", "paper", "a docking station", "{n} keyboards", "{nn} visitor badges", "the spare laptop", "envelopes", "a desk lamp",
        "the shredder", "batteries", "{n} adapters", "business cards for {who}", "the coffee machine", "the dishwasher", "the flip chart",
        "a key for {room}", "the parking permit", "{n} lockers", "the franking machine", "the scanner", "a new mouse for {other}",
        "first aid supplies", "fire extinguishers", "the air con", "the blinds", "hand towels", "the door closer", "the water cooler",
    ]),
    ("system", &[
        "the ticket system", "the wiki", "the VPN", "the time tracking", "the CRM", "the shop", "the intranet", "the file share", "the mail gateway",
        "the backup server", "the phone system", "the print server", "the monitoring", "the ERP", "the build server", "the calendar", "the HR portal",
        "the invoice archive", "the web proxy", "the wifi controller", "the badge reader", "the scanner inbox", "the staging site", "the data warehouse",
        "the test system", "{host}", "the {project} server", "the password safe", "the document archive", "the booking tool",
    ]),
    ("service", &[
        "nginx", "postfix", "dovecot", "the proxy", "postgres", "mariadb", "redis", "samba", "cron", "the ldap replica", "chrony", "bind", "the dhcp server",
        "rsyslog", "haproxy", "the git server", "sshd", "the nfs server", "elasticsearch", "the mail queue", "grafana", "prometheus", "rabbitmq",
        "the backup agent", "php-fpm", "tomcat", "the print spooler", "fail2ban", "the radius server", "memcached",
    ]),
    ("part", &[
        "disk {n}", "the second psu", "the raid battery", "the uplink", "port {nn}", "the rear fan", "the ups", "the sfp in port {nn}",
        "a dimm", "the tape drive", "the kvm", "the console cable", "the second nic", "the lan card", "the rails", "the rack pdu",
        "the front fan", "the hba", "the boot ssd",
    ]),
    ("symptom", &[
        "is slow", "drops out around {time}", "needs a restart", "fills up the disk", "throws errors", "times out after {nn} seconds", "sits at {percent} load",
        "loses its connection", "ran into the limit", "warns about the certificate", "will not start", "asks for the password twice", "shows the wrong date",
        "is stuck at {percent}", "hangs at login", "reports a degraded array", "sends everything twice", "is out of memory", "ignores the new settings",
        "stops at step {n}", "lost its licence", "is unreachable from {room}",
    ]),
    ("feature", &[
        "the export", "the login page", "the search", "the import job", "the invoice view", "the report filter", "the password reset", "the pdf preview",
        "the upload dialog", "the mobile layout", "the audit log", "the permissions page", "the date picker", "the price calculation", "the api client",
        "the retry logic", "the csv parser", "the queue worker", "the cache layer", "the settings page", "the migration for {project}", "the webhook",
        "the notification mail", "the session handling", "the rounding in totals", "the pagination", "the feature flag for {project}", "the rate limit",
        "the address form", "the nightly sync",
    ]),
    ("bug", &[
        "breaks on empty input", "is off by one day", "drops umlauts", "fails for more than {nnn} rows", "returns {n} rows too many", "ignores the time zone",
        "is slow with {nnn} entries", "shows stale data", "fails behind the proxy", "rounds wrong above {amount}", "leaks file handles",
        "crashes without a network", "double counts refunds", "needs a lock", "sorts by name, not date", "loses the last line", "breaks with version {version}",
        "times out on {host}", "does not log the reason", "accepts dates in the past",
    ]),
    ("cost", &[
        "travel", "hardware", "licences", "training", "cleaning", "rent", "phones", "hosting", "insurance", "marketing", "freight", "repairs", "the fair",
        "consulting", "energy", "postage", "parking", "catering", "leasing", "maintenance", "translations", "recruiting", "furniture", "printing",
        "software", "the car pool", "waste disposal", "security", "couriers", "subscriptions",
    ]),
    ("account", &[
        "cost centre {nnn}", "account {nnn}", "the {cost} account", "the {project} budget", "cost centre {nn}", "the {month} accruals", "the petty cash",
        "the clearing account", "the {supplier} account", "the suspense account", "the {cost} line", "the deposit from {supplier}",
    ]),
    ("money_issue", &[
        "is {amount} short", "was booked twice", "does not match the bank statement", "has no VAT id", "lacks the order number", "is open {since}",
        "has the wrong address", "was paid on {past}", "needs a second signature", "is over the limit", "belongs to {month}", "has the wrong rate",
        "was split over {n} cost centres", "is in dispute", "needs a credit note", "is due {when}", "was posted to {account}", "has no receipt",
    ]),
    ("customer_act", &[
        "wants a new quote", "asks for {rate} discount", "moves the start to {month_ahead}", "needs {nn} more seats", "has a complaint about the {thing}",
        "will decide by {day}", "wants to see the demo again", "asks about delivery times", "signed on {past}", "pays in {n} instalments",
        "has a new contact, not {other}", "wants references", "asks for the {thing} in writing", "cancelled {day}", "compares us with {other_supplier}",
        "needs the {thing} before {soon}", "wants the contract for {n} years", "asked for a call at {time}", "returns {nn} pieces", "is happy with {project}",
        "wants a single invoice", "asks for payment in {n} weeks", "doubles the order", "waits for their board", "needs an answer {when}",
    ]),
    ("people_topic", &[
        "the probation talk", "the holiday carry-over", "the contract extension", "the parental leave", "the reference letter", "the training budget",
        "the part-time request", "the home office rule", "the salary review", "the job posting", "the induction day", "the sick note", "the overtime",
        "the company bike", "the pension plan", "the exit interview", "the anniversary gift", "the visa papers", "the internship", "the work permit",
        "the bonus letter", "the time account", "the first aid course", "the annual talk", "the trial day", "the payslip question", "the team event",
    ]),
    ("position", &[
        "the accountant", "the sysadmin", "the sales assistant", "the office manager", "the backend developer", "the warehouse lead", "the intern",
        "the controller", "the support agent", "the buyer", "the project lead", "the receptionist", "the data analyst", "the trainee",
        "the key account manager", "the technician", "the working student", "the team lead",
    ]),
    ("verb_check", &["check", "look at", "go over", "double-check", "look into", "verify", "read", "compare", "sort out", "clear up", "follow up on"]),
    ("verb_send", &["send", "forward", "mail", "hand", "get", "return", "show", "pass"]),
    ("verb_ask", &["ask", "call", "ping", "remind", "write to", "chase", "get back to", "talk to"]),
    ("amount_of", &["{n} of {nn}", "{percent}", "{nn} pieces", "{nnn} items", "{n} boxes", "{nn} hours", "{n} days", "{amount}", "{nn} lines", "{n} pages"]),
    ("dir", &[
        "/var/log", "/srv/data", "/home", "/var/lib/postgresql", "/srv/backup", "/opt/{project}", "/var/spool", "/srv/share", "/tmp", "/var/www", "/boot",
        "/srv/{project}", "/data", "/mnt/archive", "/var/cache", "/usr/local/bin", "/etc/ssl", "/srv/git", "/var/mail", "/opt/tools",
    ]),
    ("net", &[
        "vlan {nn}", "the guest wifi", "the office net", "the dmz", "the firewall rule for {supplier}", "the dns entry for {host}", "the tunnel to {supplier}",
        "the route to {host}", "the proxy exception for {project}", "the dhcp range on floor {n}", "port 8{nnn}", "the mx record", "the spf record",
        "the reverse dns of {host}", "the ntp source", "the voip vlan", "the camera net", "the printer vlan", "the site link", "the wifi key",
    ]),
    ("branch", &[
        "the {project} branch", "release {version}", "the hotfix for {ticket}", "the {feature_name} branch", "{ticket}", "the {project} repo", "tag {version}",
        "the spike on {feature_name}", "the merge of {ticket}", "the {version} build",
    ]),
    ("feature_name", &["export", "login", "search", "import", "billing", "reports", "uploads", "audit", "prices", "retry", "parser", "worker", "cache", "webhook", "sync", "paging", "filters", "mailer"]),
    ("lib", &[
        "the pdf library", "the orm", "the http client", "the base image", "the test runner", "the linter", "the jvm", "node", "python", "the date library",
        "the logging package", "the template engine", "the xml parser", "the queue client", "the ui kit", "openssl", "the db driver", "the compiler",
    ]),
    ("city", &[
        "Vienna", "Lyon", "Hamburg", "Milan", "Prague", "Rotterdam", "Leeds", "Graz", "Basel", "Antwerp", "Cologne", "Bristol", "Malmo", "Gdansk", "Porto",
        "Dublin", "Turin", "Utrecht", "Leipzig", "Ghent", "Linz", "Aarhus", "Brno", "Nantes", "Valencia",
    ]),
    ("snack", &["cake", "fruit", "sandwiches", "coffee and water", "lunch for {n}", "croissants", "drinks", "a soup buffet", "pastries", "catering for {nn}"]),
    ("outcome", &[
        "looks fine", "still open", "needs another week", "agreed", "postponed to {day}", "no answer yet", "waiting for {who}", "done except the {thing}",
        "to be confirmed", "moved to {month_ahead}", "not our problem", "{other} takes over", "cheaper than expected", "more work than planned",
        "will be discussed {when}", "half done", "as discussed {day}", "approved by {who}", "on hold", "rejected",
    ]),
    ("customer_verb", &[
        "agreed in writing", "asked for more time", "withdrawn the offer", "raised the price", "sent a new offer", "complained about the {thing}",
        "accepted the {thing}", "named a new contact", "changed the terms", "confirmed {amount}", "declined the {thing}", "offered {rate} less",
    ]),
    ("when_past", &[
        "yesterday", "on {day}", "last week", "at {time}", "before the {meeting}", "twice on {day}", "all {day}", "this morning", "until {time}",
        "in {month}", "on {past}", "after the {meeting}",
    ]),
    ("deadline", &[
        "by {day}", "before {day}", "by {soon}", "before {soon}", "by the end of {month_ahead}", "by mid {month_ahead}", "before the {meeting}", "by {day} noon",
        "by end of week", "before month end", "within {n} days", "within {nn} days", "before {who} leaves", "on {day} at the latest", "by {day} evening",
    ]),
    ("sched", &[
        "on {day}", "{day} at {time}", "tomorrow", "on {soon}", "next week", "on {day} morning", "in {month_ahead}", "on {soon} at {time}", "{day} afternoon",
        "at the end of {month_ahead}", "the week after next", "on {day}, if nothing comes up", "right after the {meeting}", "today at {time}",
    ]),
    ("rate", &["{n}%", "{n}.5%", "{n}%", "1{digit}%"]),
    ("digit", &["0", "1", "2", "3", "4", "5", "6", "7", "8"]),
    ("nights", &["2", "3", "4", "5"]),
    ("device", &[
        "the projector", "the coffee machine", "the dishwasher", "the franking machine", "the scanner", "the label printer", "the shredder", "the water cooler",
        "the air con", "the big screen", "the door closer", "the copier", "the plotter", "the badge reader", "the flip chart", "the fridge", "the forklift",
        "the conference phone", "the docking station of {who}", "the laptop of {who}", "the monitor of {who}", "the desk of {who}", "the lift", "the alarm panel",
        "the time clock", "the cutter", "the laminator", "the camera in {room_or_place}",
    ]),
    ("supply", &[
        "toner", "paper", "coffee", "envelopes", "batteries", "hand towels", "labels", "visitor badges", "whiteboard markers", "bubble wrap", "stamps", "mineral water",
        "dish soap", "printer drums", "cable ties", "folders", "notepads", "light bulbs", "tape", "milk", "pallets", "gloves", "ear plugs", "boxes of size {n}",
    ]),
];
