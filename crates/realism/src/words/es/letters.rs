//! Spanish: what frames letters.

#[rustfmt::skip]
pub(super) static GREETINGS: &[&str] = &[
    "Hola, {to}:", "Hola {to},", "Hola, {to}.", "Buenas, {to}:", "Buenas {to},", "{to},", "¡Hola, {to}!", "Hola {to}:", "Hola, {to}, ¿qué tal?", "Hola otra vez, {to}:",
    "Hola, {to}, una cosa rápida:", "Hola, {to}, antes de que se me olvide:", "Hola, {to}, como quedamos:", "{to}, una pregunta:", "Hey {to},", "¿Qué tal, {to}?",
    "Buenas, {to}, te cuento:", "Hola, {to}, muy breve:",
];
#[rustfmt::skip]
pub(super) static GREETINGS_FORMAL: &[&str] = &[
    "Buenos días, {to}:", "Buenos días {to},", "Hola, {to}:", "Buenos días, {to}.", "Hola {to},", "Muy buenos días, {to}:", "Hola, {to}, espero que vaya todo bien.",
    "Buenos días, {to}, espero que estés bien.", "Hola, {to}, te escribo por lo siguiente:", "Buenos días, {to}, gracias por la charla del {day}.",
    "Hola, {to}, retomo lo que hablamos el {day}.", "Hola, {to}, gracias de antemano por tu tiempo.", "Buenos días, {to}, una consulta:",
];
#[rustfmt::skip]
pub(super) static CLOSINGS: &[&str] = &[
    "Un saludo", "Saludos", "Gracias", "Un abrazo", "¡Gracias!", "Gracias y un saludo", "Hasta el {day}", "Hasta luego", "Nos vemos el {day}", "Mil gracias",
    "Ya me dices", "Saludos y gracias", "Muchas gracias", "Abrazos", "Hablamos", "Buen {day}", "Hasta ahora", "Gracias de nuevo", "Un saludo desde la {room}", "Dime algo",
];
#[rustfmt::skip]
pub(super) static CLOSINGS_FORMAL: &[&str] = &[
    "Un cordial saludo", "Saludos cordiales", "Atentamente", "Un saludo", "Muchas gracias y un saludo", "Saludos", "Gracias de antemano y un saludo",
    "Recibe un cordial saludo", "Cordialmente", "Muchas gracias", "Quedo a la espera, un saludo", "Un saludo muy cordial", "Agradeciendo tu atención, un saludo",
];
#[rustfmt::skip]
pub(super) static ANSWER_OPENINGS: &[&str] = &[
    "Gracias, me ha llegado bien.", "Gracias por avisar.", "Buena pregunta.", "Perdona el retraso, el {day} fue imposible.", "He hablado con {who} de esto.",
    "Sí, me parece bien.", "Por desgracia no del todo.", "Lo he mirado a las {time}.", "{who} me preguntó lo mismo el {day}.", "Gracias por recordármelo.",
    "En principio, de acuerdo.", "He preguntado a {who} y también a {other}.", "Qué rapidez, gracias.", "Por mí, adelante.", "Para esto necesito algo más de tiempo.",
    "Te paso la situación a {past}.", "Tienes razón con lo {thing_gen}.", "He estado fuera hasta el {day}, por eso contesto ahora.", "En resumen: sí, {when}.",
    "En resumen: no antes del {soon}.", "Se lo he pasado a {who}.", "Entendido.", "Yo lo prefiero {when}.", "Casi, falta lo {thing_gen}, que lo tiene {who}.",
    "He leído tu correo entre dos reuniones.", "Gracias, ya me lo había dicho {who}.", "Sí y no.", "Coincide con lo que tiene {who}.",
];
#[rustfmt::skip]
pub(super) static ANSWER_SENTENCES: &[&str] = &[
    "Te mando {doc} {when}.", "{who} tiene {doc}, pregúntale antes.", "¿Se lo puedes decir también a {who}?", "Lo hablamos {sched}, la {room} está libre.",
    "Yo podría el {day} a las {time}, si te viene bien.", "A partir de aquí sigue {who}.", "Por mi parte es todo, a lo mejor {who} lo ve de otra manera.",
    "Espera un momento a lo que diga {who}, por favor.", "Lo he apuntado {place}, para que lo vea {who}.", "Si corre prisa, llama {contact_dat}.",
    "Con {project} lo hicimos igual y tardamos {n} días.", "Antes necesitaría {thing}.", "{^contact} tendría que saberlo antes del {day}.",
    "¿Puedes repasar otra vez {doc}?", "Le he dicho a {who} que le llamas {when}.", "Lo tengo en la lista para el {day}.", "Eso cuesta unos {amount}, calculo.",
    "{other} no lo ve así, así que mejor preguntar a {who}.", "A mí me da igual, que decida {who}.", "El plazo es ahora el {soon}, así que hay tiempo.",
    "¿Tienes el teléfono {contact_gen}?", "Estoy en {city} {sched} y leo el correo por la noche.", "{^doc} va adjunto en {ticket}.",
    "No cambies {thing} antes del {day}, por favor.", "Le escribí a {supplier} por esto el {past}.", "De momento {supplier} no ha dicho nada.",
    "También podemos dejarlo y empezar por {thing}.", "En {meeting} sí que estaré.", "No puedo ir {meeting_dat}, va {who} por mí.", "{who} lo quiere por escrito.",
    "Si {who} está de acuerdo, yo también.", "Dime {when} si con eso basta.", "La versión corta está en {thing}.", "Me paso a las {time}.",
    "La próxima vez pon en copia a {who}, por favor.", "Debería estar {when}, al menos la primera parte.", "Solo hay una pega: no incluye {cost}.",
    "En {city} ya lo hizo {who} una vez.",
];
