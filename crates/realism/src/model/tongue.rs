//! What the model layer knows of languages: their names, their commonest words, how assistants and letters begin and end in
//! them. A guess is made from common words only; where there is too little text, none is made.

/// A language that can be recognised.
pub(super) struct Tongue {
    pub code: &'static str,
    pub label: &'static str,
    /// Words that are common in this language and rare in the others.
    common: &'static [&'static str],
    /// How an assistant begins when it talks of its work, instead of doing it.
    pub preambles: &'static [&'static str],
    /// Last lines of letters before the name.
    pub closings: &'static [&'static str],
    /// What stands before a subject.
    pub subject: &'static str,
}

/// Words that show a language, before one is named.
const FEWEST: usize = 4;

pub(super) static ALL: [Tongue; 9] = [
    Tongue {
        code: "en",
        label: "English",
        common: &[
            "the", "and", "of", "to", "is", "that", "for", "with", "this", "you", "we", "are", "have", "not",
            "from", "it", "was", "will", "be", "they", "should", "would", "about", "before", "our", "your",
        ],
        preambles: &[
            "here is",
            "here's",
            "here are",
            "here you go",
            "sure",
            "certainly",
            "absolutely",
            "of course",
            "below is",
            "as requested",
            "okay, here",
            "ok, here",
            "i have written",
            "i've written",
            "this is a draft of",
        ],
        closings: &[
            "best regards",
            "kind regards",
            "regards",
            "best",
            "thanks",
            "thank you",
            "many thanks",
            "cheers",
            "sincerely",
            "yours sincerely",
            "warm regards",
            "all the best",
            "thanks again",
            "talk soon",
        ],
        subject: "subject",
    },
    Tongue {
        code: "es",
        label: "Spanish",
        common: &[
            "el", "los", "las", "del", "que", "y", "una", "por", "con", "para", "está", "pero", "más",
            "como", "hay", "también", "sobre", "antes", "nos", "su", "muy", "esta", "lo", "al",
        ],
        preambles: &["aquí tienes", "aquí está", "claro", "por supuesto", "a continuación", "desde luego"],
        closings: &[
            "saludos",
            "un saludo",
            "saludos cordiales",
            "atentamente",
            "un abrazo",
            "gracias",
            "muchas gracias",
        ],
        subject: "asunto",
    },
    Tongue {
        code: "pt",
        label: "Portuguese",
        common: &[
            "os", "da", "do", "dos", "das", "em", "não", "uma", "um", "com", "para", "mais", "está",
            "também", "são", "ao", "pelo", "pela", "até", "você", "nos", "já", "isso",
        ],
        preambles: &["aqui está", "aqui estão", "claro", "com certeza", "segue abaixo", "certamente"],
        closings: &[
            "atenciosamente",
            "cumprimentos",
            "abraços",
            "abraço",
            "obrigado",
            "obrigada",
            "um abraço",
            "melhores cumprimentos",
        ],
        subject: "assunto",
    },
    Tongue {
        code: "fr",
        label: "French",
        common: &[
            "le", "les", "des", "du", "et", "est", "une", "pour", "dans", "que", "avec", "sur", "pas",
            "nous", "vous", "il", "ce", "cette", "au", "aux", "sont", "je", "ne", "à",
        ],
        preambles: &["voici", "bien sûr", "certainement", "d'accord, voici", "avec plaisir", "ci-dessous"],
        closings: &[
            "cordialement",
            "bien cordialement",
            "bien à vous",
            "merci",
            "merci d'avance",
            "bonne journée",
            "à bientôt",
            "salutations",
        ],
        subject: "objet",
    },
    Tongue {
        code: "de",
        label: "German",
        common: &[
            "der", "die", "das", "und", "ist", "nicht", "mit", "für", "den", "von", "zu", "ein", "eine",
            "auf", "wir", "ich", "noch", "bis", "im", "bitte", "auch", "dem", "sich", "oder",
        ],
        preambles: &[
            "hier ist",
            "hier sind",
            "gerne",
            "natürlich",
            "selbstverständlich",
            "klar, hier",
            "nachfolgend",
        ],
        closings: &[
            "viele grüße",
            "beste grüße",
            "mit freundlichen grüßen",
            "freundliche grüße",
            "liebe grüße",
            "gruß",
            "grüße",
            "mfg",
            "lg",
            "vg",
            "danke",
            "vielen dank",
            "schöne grüße",
        ],
        subject: "betreff",
    },
    Tongue {
        code: "it",
        label: "Italian",
        common: &[
            "il", "gli", "di", "della", "del", "che", "è", "una", "per", "con", "non", "sono", "anche",
            "più", "alla", "dei", "delle", "nel", "questo", "ho", "ci", "lo", "al",
        ],
        preambles: &["ecco", "certo", "certamente", "di seguito", "naturalmente", "va bene, ecco"],
        closings: &["saluti", "cordiali saluti", "un saluto", "grazie", "a presto", "buona giornata"],
        subject: "oggetto",
    },
    Tongue {
        code: "nl",
        label: "Dutch",
        common: &[
            "het", "een", "en", "van", "niet", "voor", "met", "zijn", "dat", "ik", "je", "op", "aan", "ook",
            "nog", "wij", "bij", "naar", "moet", "wordt", "deze", "graag", "maar",
        ],
        preambles: &["hier is", "hier zijn", "natuurlijk", "uiteraard", "zeker", "hieronder"],
        closings: &[
            "groeten",
            "met vriendelijke groet",
            "met vriendelijke groeten",
            "groet",
            "groetjes",
            "bedankt",
        ],
        subject: "onderwerp",
    },
    Tongue {
        code: "ja",
        label: "Japanese",
        common: &[],
        preambles: &["以下", "もちろん", "承知しました", "かしこまりました", "こちらが"],
        closings: &["よろしくお願いいたします", "よろしくお願いします", "敬具", "以上"],
        subject: "件名",
    },
    Tongue {
        code: "zh",
        label: "Chinese",
        common: &[],
        preambles: &["以下是", "当然", "好的，", "好的,", "这是一", "没问题"],
        closings: &["此致", "敬上", "谢谢", "祝好", "顺祝商祺"],
        subject: "主题",
    },
];

/// First words of salutations.
const GREETINGS: &[&str] = &[
    "hi",
    "hello",
    "hey",
    "dear",
    "good",
    "hola",
    "buenos",
    "buenas",
    "estimado",
    "estimada",
    "querido",
    "querida",
    "olá",
    "oi",
    "bom",
    "boa",
    "prezado",
    "prezada",
    "caro",
    "cara",
    "bonjour",
    "salut",
    "cher",
    "chère",
    "hallo",
    "liebe",
    "lieber",
    "sehr",
    "guten",
    "moin",
    "servus",
    "ciao",
    "gentile",
    "buongiorno",
    "salve",
    "beste",
    "hoi",
    "dag",
    "geachte",
];
/// Beginnings of salutations where words have no ends.
const DENSE_GREETINGS: &[&str] = &["您好", "你好", "尊敬", "お疲れ", "お世話"];

/// Whether a line begins as salutations do.
pub(super) fn is_greeting(line: &str) -> bool {
    let dense = DENSE_GREETINGS.iter().any(|opening| line.starts_with(opening));
    dense || words(line).first().is_some_and(|word| GREETINGS.contains(&word.as_str()))
}

/// The first part of a code: `de` of `de-AT`.
pub(super) fn primary(code: &str) -> String {
    code.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase()
}

/// What we know of a language, if anything.
pub(super) fn tongue(code: &str) -> Option<&'static Tongue> {
    let code = primary(code);
    ALL.iter().find(|tongue| tongue.code == code)
}

/// A language's name for a prompt; an unknown code is its own.
pub(super) fn label(code: &str) -> String {
    match tongue(code) {
        Some(tongue) if tongue.code.len() == code.len() => tongue.label.to_owned(),
        Some(tongue) => format!("{} ({code})", tongue.label),
        None => code.to_owned(),
    }
}

/// Whether a language is written without spaces between words.
pub(super) fn is_dense(code: &str) -> bool {
    matches!(primary(code).as_str(), "ja" | "zh")
}

/// Words as they are counted: lower case, letters (and apostrophes within) only.
pub(super) fn words(text: &str) -> Vec<String> {
    text.to_lowercase()
        .split(|c: char| !(c.is_alphanumeric() || c == '\''))
        .map(|word| word.trim_matches('\'').to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

fn is_kana(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{30ff}')
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}')
}

/// Whether a text is clearly in another language than `code`. Unknown codes and short texts are never clear.
pub(super) fn is_foreign(code: &str, text: &str) -> bool {
    let Some(own) = tongue(code) else { return false };
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let count = |is: fn(char) -> bool| text.chars().filter(|c| is(*c)).count();
    let (kana, han) = (count(is_kana), count(is_han));
    match own.code {
        "ja" => return letters >= 12 && kana * 8 < letters,
        "zh" => return letters >= 12 && (han * 3 < letters || kana * 12 > letters),
        _ => {}
    }
    let latin = count(|c| c.is_alphabetic() && u32::from(c) < 0x250);
    if letters >= 12 && latin * 2 < letters {
        return true;
    }
    let words = words(text);
    let score = |tongue: &Tongue| words.iter().filter(|word| tongue.common.contains(&word.as_str())).count();
    let best = ALL.iter().filter(|tongue| tongue.code != own.code).map(score).max().unwrap_or(0);
    best >= FEWEST && best >= 2 * score(own) + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [(&str, &str); 9] = [
        (
            "en",
            "ask Tom about the backup job before we move the archive to the new volume, it was slow on Friday",
        ),
        (
            "es",
            "hay que revisar las copias antes del viernes, los discos del servidor están llenos pero no es urgente",
        ),
        (
            "pt",
            "não esquecer de falar com a Ana, os discos do servidor estão cheios e também falta uma licença",
        ),
        (
            "fr",
            "il faut voir avec Julie pour les sauvegardes, les disques du serveur sont presque pleins et ce n'est pas prévu",
        ),
        (
            "de",
            "noch mit Jens klären ob die Sicherung auf dem neuen Laufwerk ist, das alte ist voll und nicht mehr lange da",
        ),
        (
            "it",
            "sentire anche Marco per il contratto, non sono ancora arrivate le fatture del mese e gli ordini che mancano",
        ),
        (
            "nl",
            "nog even met Joost bellen, het oude archief is niet op de schijf en ook de back-up van vrijdag moet een keer",
        ),
        ("ja", "来週の月曜日までにバックアップの設定を確認してください。古いディスクはもう使いません。"),
        ("zh", "下周一之前请检查备份设置，旧的硬盘不再使用，发票还没有收到。"),
    ];

    #[test]
    fn each_language_is_told_from_each_other() {
        for (code, _) in TEXTS {
            for (other, text) in TEXTS {
                assert_eq!(is_foreign(code, text), code != other, "{other} taken for {code}");
            }
            assert!(!is_foreign(code, "vpn srv-04"), "too little to say: {code}");
        }
        assert!(!is_foreign("pl", TEXTS[0].1), "an unknown language is never refused");
        assert!(!is_foreign("de-AT", TEXTS[4].1) && is_foreign("de-AT", TEXTS[0].1));
    }

    #[test]
    fn labels_are_names_or_the_code_itself() {
        let labels: Vec<String> = ["en", "es", "pt", "fr", "de", "it", "nl", "ja", "zh"].map(label).into();
        assert_eq!(
            labels,
            [
                "English",
                "Spanish",
                "Portuguese",
                "French",
                "German",
                "Italian",
                "Dutch",
                "Japanese",
                "Chinese"
            ]
        );
        assert_eq!((label("xx"), label("pt-BR")), ("xx".to_owned(), "Portuguese (pt-BR)".to_owned()));
    }
}
