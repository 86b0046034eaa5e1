//! Spanish: lists that templates draw from.
//!
//! What has an article stands in `forms`. Entries of `cost`, `item` and `supply` have none; those of `symptom`, `bug`, `outcome`,
//! `money_issue` and `customer_act` go on after a singular of either gender.

use super::forms::{self, Rows};

const PARTS: [Rows; 10] = [
    forms::MEETING,
    forms::THING,
    forms::DOC,
    forms::CONTACT,
    forms::SYSTEM,
    forms::DEVICE,
    forms::FEATURE,
    forms::PEOPLE,
    forms::POSITION,
    forms::ACCOUNT,
];

/// By slot.
pub(super) static SLOTS: Rows = &{
    let none: (&str, &[&str]) = ("", &[]);
    let mut all = [none; OWN.len() + PARTS.len() * 4];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < OWN.len() { OWN[at] } else { PARTS[(at - OWN.len()) / 4][(at - OWN.len()) % 4] };
        at += 1;
    }
    all
};

#[rustfmt::skip]
const OWN: Rows = &[
    ("place", forms::PLACE),
    ("when", &[
        "hoy mismo", "mañana", "mañana a primera hora", "el {day}", "antes del {day}", "el {day} a primera hora", "el {day} a las {time}", "esta semana",
        "la semana que viene", "antes del {soon}", "a finales de {month_ahead}", "a mediados de {month_ahead}", "antes {meeting_gen}", "después {meeting_gen}",
        "cuando vuelva {who}", "a las {time}", "antes de fin de mes", "en {month_ahead}", "el {soon}", "después de las vacaciones de {who}", "a última hora",
        "en {n} días", "dentro de dos semanas", "por la tarde", "el {day} por la mañana", "el {day} por la tarde", "en cuanto pueda {who}", "el {soon} a las {time}",
    ]),
    ("since", &[
        "desde el {day}", "desde el {past}", "desde hace {n} días", "desde hace {n} semanas", "desde {meeting}", "desde la versión {version}",
        "desde primeros de {month}", "desde las {time}", "desde hace tiempo", "desde que se fue {who}", "desde el cambio de la {room}",
    ]),
    ("past_when", &[
        "ayer", "el {day}", "la semana pasada", "antes {meeting_gen}", "después {meeting_gen}", "el {past}", "esta mañana", "anteayer", "en {month}",
        "el {day} a las {time}", "el {past} sobre las {time}", "hace {n} días",
    ]),
    ("deadline", &[
        "antes del {day}", "antes del {soon}", "antes de que acabe {month_ahead}", "a mediados de {month_ahead}", "antes {meeting_gen}", "el {day} a mediodía",
        "antes de que acabe la semana", "antes de fin de mes", "en {n} días", "el {day} como tarde", "el {soon} como muy tarde", "el {day} a las {time}",
        "antes de que se vaya {who}", "en un plazo de {nn} días",
    ]),
    ("sched", &[
        "el {day}", "el {day} a las {time}", "mañana", "el {soon}", "la semana que viene", "el {day} por la mañana", "en {month_ahead}", "el {soon} a las {time}",
        "a finales de {month_ahead}", "dentro de dos semanas", "justo después {meeting_gen}", "hoy a las {time}", "el {day} por la tarde",
    ]),
    ("outcome", &[
        "todo bien", "sigue pendiente", "falta una semana", "acordado con {who}", "pasa al {day}", "sin respuesta de momento", "falta la respuesta de {who}",
        "solo falta {thing}", "por confirmar", "pasa a {month_ahead}", "no es cosa nuestra", "ahora lo lleva {other}", "sale más barato de lo previsto",
        "da más trabajo de lo previsto", "se habla {when}", "va por la mitad", "como se dijo el {day}", "con el visto bueno de {who}", "en pausa",
        "no sale adelante", "hay que repetirlo", "listo salvo {thing}", "lo mira {other} {when}",
    ]),
    ("cost", &[
        "viajes", "equipos", "licencias", "formación", "limpieza", "alquiler", "teléfono", "alojamiento web", "seguros", "publicidad", "transporte", "reparaciones",
        "ferias", "consultoría", "luz", "correos", "aparcamiento", "catering", "renting", "mantenimiento", "traducciones", "selección", "mobiliario", "imprenta",
        "programas", "vehículos", "residuos", "seguridad", "mensajería", "suscripciones", "dietas", "gas", "material de oficina", "prevención",
    ]),
    ("item", &[
        "tóner", "un segundo monitor", "{n} auriculares", "rotuladores de pizarra", "{n} sillas", "un proyector", "café", "{n} portatarjetas", "{n} regletas",
        "una etiquetadora", "papel", "una base para el portátil", "{n} teclados", "{nn} tarjetas de visita", "un portátil de repuesto", "sobres", "una lámpara de mesa",
        "una destructora", "pilas", "{n} adaptadores", "tarjetas para {who}", "vasos", "un cargador para {who}", "un rotafolio", "una llave de la {room}",
        "un pase de aparcamiento", "{n} taquillas", "un escáner", "un ratón para {other}", "material de botiquín", "{n} extintores", "un ventilador", "persianas",
        "toallas de papel", "agua para {nn} personas", "{n} archivadores", "un alargador", "una pantalla para {other}",
    ]),
    ("supply", &[
        "tóner", "papel", "café", "sobres", "pilas", "toallas de papel", "etiquetas", "rotuladores", "plástico de burbujas", "sellos", "agua", "lavavajillas",
        "bridas", "carpetas", "cuadernos", "bombillas", "celo", "leche", "palés", "guantes", "tapones", "cajas del {n}", "bolsas de basura", "servilletas",
    ]),
    ("amount_of", &[
        "{n} de {nn}", "{nn} piezas", "{nnn} unidades", "{n} cajas", "{n} bultos", "{nn} líneas", "{n} palés", "{n} páginas", "{nn} metros", "{n} artículos",
    ]),
    ("city", &[
        "Valencia", "Sevilla", "Zaragoza", "Bilbao", "Málaga", "Valladolid", "Vigo", "Gijón", "Alicante", "Murcia", "Burgos", "Pamplona", "Lisboa", "Lyon", "Toulouse",
        "Barcelona", "Madrid", "Granada", "Santander", "Logroño", "Vitoria", "Oporto", "Turín", "Salamanca", "Castellón", "Tarragona", "Girona", "León",
    ]),
    ("snack", &[
        "una tarta", "fruta", "bocadillos", "café y agua", "comida para {n}", "cruasanes", "bebidas", "bollería", "un catering para {nn}", "empanada", "pinchos",
        "unas pastas", "churros", "un picoteo para {nn}",
    ]),
    ("rate", &["{n} %", "{n},5 %", "{n} %", "1{digit} %"]),
    ("digit", &["1", "2", "3", "4", "5", "6", "7", "8"]),
    ("nights", &["2", "3", "4", "5"]),
    ("money_issue", &[
        "se queda corta en {amount}", "está contabilizada dos veces", "no cuadra con el banco", "viene sin CIF", "viene sin número de pedido", "está abierta {since}",
        "tiene mal la dirección", "se pagó el {past}", "necesita una segunda firma", "pasa del límite", "es de {month}", "lleva mal el IVA",
        "está repartida entre {n} centros de coste", "está en disputa", "necesita un abono", "vence el {soon}", "está en {account}", "no trae justificante",
        "lleva una retención que no toca", "vino a nombre de {who}",
    ]),
    ("customer_act", &[
        "quiere otra oferta", "pide un {rate} de descuento", "retrasa el inicio a {month_ahead}", "necesita {nn} licencias más", "se queja {thing_gen}",
        "decide antes del {day}", "quiere ver otra vez la demo", "pregunta por el plazo de entrega", "firmó el {past}", "paga en {n} plazos",
        "tiene un contacto nuevo, ya no es {other}", "pide referencias", "pide {thing} por escrito", "ha anulado lo del {day}", "nos compara con {other_supplier}",
        "necesita {thing} antes del {soon}", "quiere el contrato a {n} años", "pide que llamemos a las {time}", "devuelve {nn} piezas", "está muy contento con {project}",
        "quiere una sola factura", "pide pagar a {nn} días", "dobla el pedido", "espera al consejo", "necesita respuesta {when}",
    ]),
    ("service", &[
        "nginx", "postfix", "dovecot", "el proxy", "postgres", "mariadb", "redis", "samba", "cron", "la réplica de ldap", "chrony", "bind", "el servidor dhcp",
        "rsyslog", "haproxy", "el servidor git", "sshd", "el servidor nfs", "elasticsearch", "la cola de correo", "grafana", "prometheus", "rabbitmq",
        "el agente de copias", "php-fpm", "tomcat", "la cola de impresión", "fail2ban", "el servidor radius", "memcached",
    ]),
    ("daemon", &[
        "nginx", "postfix", "dovecot", "postgres", "mariadb", "redis", "samba", "cron", "chrony", "bind", "rsyslog", "haproxy", "sshd", "elasticsearch", "grafana",
        "prometheus", "rabbitmq", "php-fpm", "tomcat", "fail2ban", "memcached", "cups", "squid", "slapd", "dnsmasq", "kea", "unbound", "zabbix",
    ]),
    ("part", &[
        "el disco {n}", "la segunda fuente", "la batería del raid", "el uplink", "el puerto {nn}", "el ventilador trasero", "el sai", "el sfp del puerto {nn}",
        "un módulo de memoria", "la unidad de cinta", "el kvm", "el cable de consola", "la segunda tarjeta de red", "el raíl", "la pdu del rack",
        "el ventilador delantero", "la controladora", "el ssd de arranque",
    ]),
    ("symptom", &[
        "va lento", "se cae sobre las {time}", "pide un reinicio", "llena el disco", "da errores", "da timeout a los {nn} segundos", "está al {percent} de carga",
        "pierde la conexión", "llega al límite", "avisa del certificado", "no arranca", "pide dos veces la contraseña", "muestra mal la fecha", "se queda en el {percent}",
        "se cuelga al entrar", "avisa del raid", "manda todo dos veces", "se queda sin memoria", "no coge los ajustes nuevos", "se para en el paso {n}",
        "ha perdido la licencia", "no responde desde la {room}",
    ]),
    ("bug", &[
        "falla con datos vacíos", "se va un día", "se come los acentos", "falla con más de {nnn} filas", "devuelve {n} filas de más", "no mira la zona horaria",
        "va lento con {nnn} entradas", "muestra datos viejos", "falla detrás del proxy", "redondea mal a partir de {amount}", "deja ficheros abiertos",
        "se cae sin red", "cuenta dos veces los abonos", "necesita un bloqueo", "ordena por nombre y no por fecha", "pierde la última línea",
        "se rompe con la {version}", "da timeout en {host}", "no deja rastro del motivo", "acepta fechas pasadas", "no valida el NIF", "se come las eñes",
    ]),
    ("dir", &[
        "/var/log", "/srv/datos", "/home", "/var/lib/postgresql", "/srv/backup", "/opt/{project}", "/var/spool", "/srv/compartido", "/tmp", "/var/www", "/boot",
        "/srv/{project}", "/data", "/mnt/archivo", "/var/cache", "/usr/local/bin", "/etc/ssl", "/srv/git", "/var/mail", "/opt/tools",
    ]),
    ("net", &[
        "la vlan {nn}", "la wifi de invitados", "la red de oficina", "la dmz", "la regla del cortafuegos para {supplier}", "la entrada dns de {host}",
        "el túnel con {supplier}", "la ruta a {host}", "la excepción del proxy para {project}", "el rango dhcp de la planta {digit}", "el puerto 8{nnn}",
        "el registro mx", "el registro spf", "el inverso de {host}", "la fuente ntp", "la vlan de voz", "la red de cámaras", "la vlan de impresoras",
        "el enlace con {city}", "la clave de la wifi",
    ]),
    ("branch", &[
        "la rama de {project}", "la versión {version}", "el hotfix de {ticket}", "la rama {feature_name}", "{ticket}", "el repo de {project}", "la etiqueta {version}",
        "la prueba de {feature_name}", "el merge de {ticket}", "la build {version}",
    ]),
    ("feature_name", &["export", "login", "search", "import", "billing", "reports", "uploads", "audit", "prices", "retry", "parser", "worker", "cache", "webhook", "sync", "paging", "filters", "mailer"]),
    ("lib", &[
        "la librería de pdf", "el orm", "el cliente http", "la imagen base", "el lanzador de tests", "el linter", "la jvm", "node", "python", "la librería de fechas",
        "el paquete de logs", "el motor de plantillas", "el parser de xml", "el cliente de colas", "el kit de interfaz", "openssl", "el driver de la base",
        "el compilador",
    ]),
];
