//! German: what frames letters.

#[rustfmt::skip]
pub(super) static GREETINGS: &[&str] = &[
    "Hallo {to},", "Hi {to},", "Moin {to},", "Servus {to},", "Hey {to},", "{to},", "Morgen {to},", "Guten Morgen {to},", "Hallo {to}", "Hi {to}", "Hallöchen {to},",
    "Hallo nochmal {to},", "Hallo {to}, kurze Frage:", "Hi {to}, bevor ich es vergesse:", "Hallo {to}, wie besprochen:", "Grüß dich {to},", "Mahlzeit {to},",
    "Hallo {to}, nur ganz kurz:",
];
#[rustfmt::skip]
pub(super) static GREETINGS_FORMAL: &[&str] = &[
    "Guten Tag {to},", "Guten Morgen {to},", "Hallo {to},", "Schönen guten Tag {to},", "Guten Tag {to}", "Guten Morgen {to}", "Einen guten Morgen, {to},",
    "Guten Tag {to}, vielen Dank für das Gespräch.", "Guten Tag {to}, eine kurze Nachricht.", "Hallo {to}, ich hoffe, es geht dir gut.", "Grüß Gott {to},",
    "Guten Tag {to}, ich komme auf unser Gespräch zurück.",
];
#[rustfmt::skip]
pub(super) static CLOSINGS: &[&str] = &[
    "Viele Grüße", "Grüße", "LG", "VG", "Liebe Grüße", "Danke dir", "Danke und Gruß", "Gruß", "Bis {day}", "Bis später", "Danke schon mal", "Schönen {day} noch",
    "Beste Grüße", "Schöne Grüße", "Danke", "Bis dann", "Bis bald", "Gruß aus {room}", "Dank und Grüße", "Tausend Dank",
];
#[rustfmt::skip]
pub(super) static CLOSINGS_FORMAL: &[&str] = &[
    "Mit freundlichen Grüßen", "Freundliche Grüße", "Beste Grüße", "Mit besten Grüßen", "Viele Grüße", "Herzliche Grüße", "Mit herzlichen Grüßen",
    "Vielen Dank und beste Grüße", "Mit bestem Dank", "Mit bestem Gruß", "Mit freundlichem Gruß", "Vielen Dank und freundliche Grüße", "Besten Gruß",
];
#[rustfmt::skip]
pub(super) static ANSWER_OPENINGS: &[&str] = &[
    "Danke, ist angekommen.", "Danke für die Info.", "Gute Frage.", "Entschuldige die späte Antwort, der {day} war voll.", "Ich habe mit {who} darüber gesprochen.",
    "Ja, das passt.", "Leider nicht ganz.", "Ich habe es mir um {time} angesehen.", "{who} hat mich am {day} dasselbe gefragt.", "Danke für die Erinnerung.",
    "Grundsätzlich einverstanden.", "Ich habe bei {who} und {other} nachgefragt.", "Das ging schnell, danke.", "Von mir aus gern.", "Dafür brauche ich noch etwas Zeit.",
    "Hier der Stand vom {past}.", "Du hast recht, {thing_nom} stimmt so nicht.", "Ich war bis {day} unterwegs, deshalb erst jetzt:", "Kurz gesagt: ja, {when}.",
    "Kurz gesagt: nein, nicht vor dem {soon}.", "Ich habe es an {who} weitergeleitet.", "Verstanden.", "Mir wäre es {when} lieber.",
    "Fast, {thing_nom} liegt noch bei {who}.", "Deine Mail habe ich zwischen zwei Terminen gelesen.", "Danke, {who} hatte es mir schon gesagt.", "Jein.",
    "Das deckt sich mit dem, was {who} hat.",
];
#[rustfmt::skip]
pub(super) static ANSWER_SENTENCES: &[&str] = &[
    "Ich schicke dir {doc} {when}.", "{who} hat {doc}, bitte frag zuerst dort nach.", "Kannst du es {who} auch sagen?",
    "Lass uns {sched} darüber reden, {room} ist frei.", "Ich könnte am {day} um {time}, wenn dir das passt.", "{who} macht ab hier weiter.",
    "Von mir ist das alles, {who} sieht es vielleicht anders.", "Bitte warte noch auf {who}.", "Ich habe es in {system_dat} eingetragen, damit {who} es sieht.",
    "Wenn es eilig ist, ruf bitte bei {contact_dat} an.", "Für {project} haben wir es genauso gemacht, und es hat {n} Tage gedauert.",
    "Ich bräuchte zuerst {thing_nom}.", "Das sollte {contact} bis {day} wissen.", "Kannst du {doc} noch einmal prüfen?",
    "Ich habe {who} gesagt, dass du dich {when} meldest.", "Das steht bei mir für {day} auf der Liste.", "Das kostet ungefähr {amount}, schätze ich.",
    "{other} sieht das anders, also fragen wir am besten {who}.", "Mir ist es gleich, {who} soll entscheiden.",
    "Die Frist ist jetzt der {soon}, wir haben also Zeit.", "Hast du die Nummer von {contact_dat}?", "Ich bin {sched} in {city} und lese erst abends meine Mails.",
    "{^doc} hängt an {ticket}.", "Bitte ändere {thing_nom} nicht vor {day}.", "Ich habe {supplier} am {past} deswegen geschrieben.",
    "Von {supplier} kam bisher keine Antwort.", "Wir können das auch weglassen und mit {thing_dat} anfangen.", "Bei der {meeting} bin ich dabei.",
    "Ich kann nicht zur {meeting}, {who} geht für mich.", "{who} möchte es schriftlich haben.", "Wenn {who} zustimmt, bin ich auch dafür.",
    "Sag mir bitte {when}, ob das reicht.", "Die kurze Fassung steht in {thing_dat}.", "Ich komme um {time} vorbei.", "Nimm beim nächsten Mal bitte {who} in Kopie.",
    "Es sollte {when} fertig sein, zumindest der erste Teil.", "Einen Haken gibt es: die {cost} sind nicht dabei.", "{who} in {city} hat das schon einmal gemacht.",
];
