//! French: what frames letters.
//!
//! Formal people say `vous`, the others `tu`; what both send avoids either.

#[rustfmt::skip]
pub(super) static GREETINGS: &[&str] = &[
    "Salut {to},", "Bonjour {to},", "Hello {to},", "Coucou {to},", "{to},", "Salut {to}", "Bonjour {to}", "Bonsoir {to},", "Hello {to}", "Salut !",
    "Salut {to}, ça va ?", "Bonjour {to}, petit point rapide :", "Salut {to}, j'espère que tout va bien.", "Bonjour {to}, avant d'oublier :",
    "Salut {to}, en deux mots :", "Hello {to}, tu vas bien ?", "Salut {to}, de retour de {city} ?", "Bonjour {to}, je fais court :",
];
#[rustfmt::skip]
pub(super) static GREETINGS_FORMAL: &[&str] = &[
    "Bonjour {to},", "Bonjour,", "{to}, bonjour,", "Bonsoir {to},", "Bonjour {to}", "Bonsoir,", "Bonjour {to}, j'espère que vous allez bien.",
    "Bonjour {to}, je me permets de vous écrire au sujet de {project}.", "Bonjour {to}, je vous remercie pour votre aide.", "Bonjour {to}, comme convenu avec {who} :",
    "Bonjour {to}, un mot rapide avant {day}.", "Bonjour {to}, je reviens vers vous.", "Bonjour {to}, veuillez trouver ci-dessous quelques points.",
];
#[rustfmt::skip]
pub(super) static CLOSINGS: &[&str] = &[
    "Merci,", "A+", "À plus,", "Bonne journée,", "À bientôt,", "Merci d'avance,", "Cdlt,", "Cordialement,", "Amicalement,", "Merci beaucoup,", "Ciao,",
    "Merci !", "Bises,", "Bonne journée", "Merci encore,", "Bien à toi,", "À {day},", "Bonne fin de journée,", "On se rappelle {day},", "Merci pour ton aide,",
    "Dis-moi si ça te va,", "On en reparle {day},",
];
#[rustfmt::skip]
pub(super) static CLOSINGS_FORMAL: &[&str] = &[
    "Cordialement,", "Bien cordialement,", "Très cordialement,", "Salutations,", "Meilleures salutations,", "Sincères salutations,", "Respectueusement,",
    "Salutations distinguées,", "Bien à vous,", "Avec mes remerciements,", "Je vous souhaite une bonne journée,", "En vous remerciant par avance,",
    "Dans l'attente de votre retour,", "Je reste à votre disposition,",
];
#[rustfmt::skip]
pub(super) static ANSWER_OPENINGS: &[&str] = &[
    "Merci, c'est noté.", "Merci pour l'info.", "Bonne question.", "Pardon pour la réponse tardive, {day} était bien rempli.", "J'en ai parlé avec {who}.",
    "Oui, ça marche.", "Pas tout à fait, malheureusement.", "J'ai regardé vers {time}.", "{who} m'a demandé la même chose {day}.", "Merci pour le rappel.",
    "D'accord sur le principe.", "Je réponds dans l'ordre.", "J'ai vérifié avec {who} et {other}.", "C'était rapide, merci.", "Ça me va.",
    "Il me faut encore un peu de temps.", "Voici ce que je sais au {past}.", "C'est vrai pour {thing}.", "Je n'étais pas là jusqu'à {day}, d'où ma réponse tardive.",
    "En bref : oui, {when}.", "En bref : non, pas avant le {soon}.", "Je l'ai transmis à {who}.", "Bien reçu.", "Je préférerais le faire {when}.",
    "Presque : {thing} est encore chez {who}.", "Merci, {who} me l'avait déjà dit.", "Je n'ai pas {thing} sous la main, je réponds de mémoire.", "Oui et non.",
    "C'est aussi ce que dit {who}.",
];
#[rustfmt::skip]
pub(super) static ANSWER_SENTENCES: &[&str] = &[
    "J'envoie {doc} {when}.",
    "C'est {who} qui a {doc}, il vaut mieux lui demander d'abord.",
    "Il faudrait prévenir {who} aussi.",
    "On en parle {when}, la salle {room} est libre.",
    "Je peux {day} à {time}, si cela convient.",
    "{who} prend la suite.",
    "Rien à ajouter de mon côté, à voir avec {who}.",
    "Mieux vaut attendre {who}, de retour {when}.",
    "Je l'ai mis sur {system} pour que {who} le voie.",
    "Si c'est urgent, il faut appeler {contact}.",
    "On parle bien de {thing} du {past} ? Il y a une version plus récente.",
    "On a fait pareil pour {project} et ça a pris {n} jours.",
    "Il me faudrait d'abord {thing}.",
    "{^contact} devrait savoir d'ici {day}.",
    "Est-ce qu'on peut vérifier {doc} encore une fois ?",
    "J'ai dit à {who} d'attendre un appel {when}.",
    "C'est sur ma liste pour {day}.",
    "Ça va coûter dans les {amount}, je pense.",
    "{other} n'est pas du même avis, demandons à {who}.",
    "Je n'ai pas d'avis tranché, c'est à {who} de décider.",
    "La date limite est passée au {soon}, donc on a le temps.",
    "Qui a le numéro pour joindre {contact} ?",
    "Je suis à {city} {when} et je ne lis mes mails que le soir.",
    "{^doc} est en pièce jointe dans {ticket}.",
    "Merci de ne pas toucher à {thing} avant {day}.",
    "J'ai écrit à {supplier} à ce sujet le {past}.",
    "Pas de réponse de {supplier} jusqu'ici.",
    "On peut aussi laisser tomber et commencer par {thing}.",
    "Je viens à {meeting}.",
    "Je ne pourrai pas venir à {meeting}, {who} me remplace.",
    "{who} veut une trace écrite.",
    "Si {who} est d'accord, moi aussi.",
    "La version courte est dans {doc}.",
    "Je passe vers {time}.",
    "La prochaine fois, merci de mettre {who} en copie.",
    "Il y a juste un souci : les frais de {cost} ne sont pas compris.",
    "À {city}, {who} a déjà fait ça.",
    "Ça devrait être prêt {when}, au moins la première partie.",
];
