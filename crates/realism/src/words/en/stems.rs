//! English: stems of file names. No stem of one class begins a stem of another.

/// Of notes.
#[rustfmt::skip]
pub(super) static NOTES: &[&str] = &[
    "notes", "note", "jotted", "scratch", "remember", "reminder", "callback", "calls", "phone-notes", "ideas", "questions", "misc", "quick", "desk", "scribble",
    "vpn", "contacts", "numbers", "travel", "hotel", "parking", "printer", "wifi", "rooms", "keys", "orders", "prices", "from-meeting", "standup", "one-on-one",
    "lunch", "links", "refs", "facts", "hints", "snippets", "daily", "log-book", "brain-dump", "thoughts", "observations", "deliveries", "people", "names",
    "supplier-info", "setup-info", "howto", "faq", "details", "background",
];

/// Of lists.
#[rustfmt::skip]
pub(super) static TODOS: &[&str] = &[
    "todo", "todos", "to-do", "tasks", "checklist", "open-items", "open-points", "action-items", "actions", "next-steps", "backlog", "follow-ups", "followup",
    "this-week", "next-week", "today", "tomorrow", "shopping", "before-holiday", "before-leave", "month-end", "quarter-end", "errands", "pending", "waiting-for",
    "must-do", "leftovers", "prep-list", "packing-list", "handover-list", "punch-list", "remaining", "unfinished", "priorities", "week-plan",
    "day-plan", "sprint", "chores", "deadlines", "due", "outstanding", "worklist",
];

/// Of drafts.
#[rustfmt::skip]
pub(super) static DRAFTS: &[&str] = &[
    "draft", "letter", "memo", "minutes", "proposal", "offer", "report", "announcement", "statement", "summary", "reply", "answer", "invitation", "agenda",
    "briefing", "concept", "outline", "review", "assessment", "protocol", "status-report", "complaint", "notice", "policy", "guideline", "contract-text",
    "newsletter", "speech", "presentation-text", "cover-letter", "reference", "evaluation", "request", "application", "plan", "paper", "brief", "writeup",
    "meeting-minutes", "quote-text", "termination", "response", "position", "circular", "handbook", "manual", "description",
];

/// Of scripts.
#[rustfmt::skip]
pub(super) static SCRIPTS: &[&str] = &[
    "backup", "rotate", "cleanup", "sync", "check", "watch", "export", "import", "convert", "fetch", "count", "sum", "diskcheck", "certcheck", "logscan", "tidy",
    "rename", "merge", "split", "dump", "restore", "ping", "probe", "mount", "collect", "send", "mirror", "prune", "archive", "stats", "monitor", "deploy",
    "build", "run", "fix", "update", "scan", "purge", "gather", "compare", "verify", "snapshot", "tail", "parse", "extract", "reload", "usage", "quota",
    "inventory-scan", "hostlist",
];
