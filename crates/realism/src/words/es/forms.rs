//! Spanish: nouns with their article in every form that a template asks for, in step with each other.
//!
//! `m` and `f` are the genders (`el acta` counts as `m`: only the article matters here), `x` has no article (names), `t` is an
//! addition to a noun of `{thing}`. All are singular, so that a verb after them is.

/// A slot's rows: `{slot}` with the article, `_gen` (del, de la), `_dat` (al, a la), `_bare` without one.
macro_rules! nouns {
    ($slot:literal: $($kind:ident $noun:literal),* $(,)?) => {
        &[
            ($slot, &[$(form!(nom $kind $noun)),*]),
            (concat!($slot, "_gen"), &[$(form!(gen $kind $noun)),*]),
            (concat!($slot, "_dat"), &[$(form!(dat $kind $noun)),*]),
            (concat!($slot, "_bare"), &[$(form!(bare $kind $noun)),*]),
        ]
    };
}

/// One form of one noun.
macro_rules! form {
    (nom m $n:literal) => {
        concat!("el ", $n)
    };
    (nom f $n:literal) => {
        concat!("la ", $n)
    };
    (gen m $n:literal) => {
        concat!("del ", $n)
    };
    (gen f $n:literal) => {
        concat!("de la ", $n)
    };
    (gen x $n:literal) => {
        concat!("de ", $n)
    };
    (dat m $n:literal) => {
        concat!("al ", $n)
    };
    (dat f $n:literal) => {
        concat!("a la ", $n)
    };
    (dat x $n:literal) => {
        concat!("a ", $n)
    };
    (nom t $n:literal) => {
        concat!("{thing} ", $n)
    };
    ($form:ident t $n:literal) => {
        concat!("{thing_", stringify!($form), "} ", $n)
    };
    ($form:ident $kind:ident $n:literal) => {
        $n
    };
}

pub(super) type Rows = &'static [(&'static str, &'static [&'static str])];

#[rustfmt::skip]
pub(super) const MEETING: Rows = nouns! { "meeting":
    f "reunión semanal", f "reunión de equipo", f "reunión de presupuesto", m "comité de dirección", f "llamada con {supplier}", f "reunión de planificación",
    m "taller de {project}", f "auditoría", m "arranque de {project}", f "visita del cliente", f "reunión de departamento", f "revisión trimestral",
    f "retrospectiva", f "charla con {who}", f "asamblea", m "curso de prevención", f "formación de {project}", f "demo", f "reunión con {supplier}",
    m "seguimiento de {project}", m "inventario", f "ronda de entrevistas", f "reunión de cierre", m "comité de compras", f "reunión de ventas",
    m "desayuno de equipo", f "reunión de obra", f "videollamada con {city}",
};

#[rustfmt::skip]
pub(super) const THING: Rows = nouns! { "thing":
    f "oferta", m "contrato", f "factura", f "entrega", m "presupuesto", f "lista de materiales", f "lista de accesos", m "plano", f "tarifa", m "parte de horas",
    m "cuadro de vacaciones", m "inventario", m "plan de mantenimiento", m "listín", f "hoja de gastos", m "albarán", m "pedido", f "póliza",
    m "informe de pruebas", m "acta", f "orden de compra", f "estimación", m "acuerdo marco", f "lista de control", f "presentación", m "plan de proyecto",
    f "matriz de riesgos", f "solicitud de cambio", m "plan de acogida", f "copia firmada", f "hoja de devolución", f "lista de embalaje", m "informe de viaje",
    f "nota de gastos", m "informe mensual", f "previsión", m "cuadrante", m "certificado", f "ficha técnica", m "anexo", f "memoria", m "convenio",
};

#[rustfmt::skip]
pub(super) const DOC: Rows = nouns! { "doc":
    t "de {supplier}", t "del {past}", t "de {project}", t "que hizo {who}", m "resumen de {month}", f "tabla de {month}", f "versión {version}",
    f "lista de temas abiertos de {project}", t "por {amount}", m "cuadro de {month_ahead}", t "de {city}", f "carpeta de {project}", m "expediente de {supplier}",
    t "para {supplier}", f "copia para {who}", m "borrador de {who}", m "correo de {who}", f "hoja de {other}", m "escaneado del {past}",
};

#[rustfmt::skip]
pub(super) const CONTACT: Rows = nouns! { "contact":
    x "{supplier}", x "{who}", x "{other}", m "administrador de la finca", f "asesoría", f "gestoría", m "banco", f "aseguradora", m "transportista",
    f "empresa de limpieza", f "agencia de viajes", m "comité de empresa", m "abogado", f "imprenta", m "electricista", x "recepción", m "servicio técnico",
    m "centro de datos", m "ayuntamiento", f "mutua", f "empresa de selección", m "auditor", f "operadora", f "empresa de alarmas", m "comercial de {supplier}",
    f "contable de {supplier}", f "delegación de {city}", m "soporte de {supplier}", f "notaría", m "taller", f "Seguridad Social", f "Agencia Tributaria",
};

#[rustfmt::skip]
pub(super) const SYSTEM: Rows = nouns! { "system":
    f "herramienta de tickets", f "wiki", f "VPN", m "control horario", m "CRM", f "tienda web", f "intranet", f "carpeta compartida", f "pasarela de correo",
    m "servidor de copias", f "centralita", m "servidor de impresión", f "monitorización", m "ERP", m "servidor de integración", m "calendario",
    m "portal del empleado", m "archivo de facturas", m "proxy", m "controlador wifi", m "lector de tarjetas", m "buzón del escáner", m "entorno de pruebas",
    m "almacén de datos", m "gestor de contraseñas", f "aplicación de reservas", m "servidor de {project}", x "{host}", m "gestor documental", f "web",
};

#[rustfmt::skip]
pub(super) const DEVICE: Rows = nouns! { "device":
    m "proyector", f "cafetera", m "lavavajillas", f "franqueadora", m "escáner", f "impresora de etiquetas", f "destructora", f "fuente de agua",
    m "aire acondicionado", f "pantalla grande", f "fotocopiadora", m "plóter", m "lector de tarjetas", m "frigorífico", f "carretilla", m "teléfono de la sala",
    f "base del portátil de {who}", m "portátil de {who}", m "monitor de {who}", f "silla de {who}", m "ascensor", f "central de alarmas", m "reloj de fichar",
    f "guillotina", f "plastificadora", f "cámara de la entrada", m "microondas", f "persiana de la {room}", f "caldera", m "móvil de {who}",
};

#[rustfmt::skip]
pub(super) const FEATURE: Rows = nouns! { "feature":
    f "exportación", f "página de acceso", f "búsqueda", f "importación", f "vista de facturas", m "filtro de informes", m "cambio de contraseña",
    f "vista previa del pdf", f "subida de ficheros", f "versión móvil", m "registro de auditoría", f "pantalla de permisos", m "selector de fechas",
    m "cálculo de precios", m "cliente de la API", f "lógica de reintentos", m "lector de csv", f "cola de trabajos", f "caché", f "página de ajustes",
    f "migración de {project}", m "webhook", m "correo de aviso", f "gestión de sesiones", m "redondeo de totales", f "paginación", m "límite de peticiones",
    m "formulario de direcciones", f "sincronización nocturna", m "panel de {project}",
};

#[rustfmt::skip]
pub(super) const PEOPLE: Rows = nouns! { "people_topic":
    f "entrevista de prueba", m "traspaso de vacaciones", f "prórroga del contrato", m "permiso de paternidad", f "carta de recomendación",
    m "presupuesto de formación", f "reducción de jornada", f "norma de teletrabajo", f "revisión salarial", f "oferta de empleo", m "día de acogida",
    f "baja médica", m "tema de las horas extra", m "plan de pensiones", f "entrevista de salida", m "regalo de aniversario", m "permiso de trabajo",
    m "convenio de prácticas", f "carta del bonus", f "bolsa de horas", m "curso de primeros auxilios", f "evaluación anual", f "duda de la nómina",
    f "comida de equipo", f "revisión médica", m "seguro médico", m "calendario laboral", f "tarjeta de comida",
};

#[rustfmt::skip]
pub(super) const POSITION: Rows = nouns! { "position":
    m "puesto de contable", m "puesto de técnico de sistemas", m "puesto de comercial", f "plaza de administrativo", m "puesto de programador",
    f "jefatura de almacén", f "beca", m "puesto de controller", f "plaza de soporte", m "puesto de comprador", f "jefatura de proyecto", f "plaza de recepción",
    m "puesto de analista", f "plaza de prácticas", m "puesto de técnico", f "coordinación de equipo", m "puesto de calidad", f "plaza de logística",
};

#[rustfmt::skip]
pub(super) const ACCOUNT: Rows = nouns! { "account":
    m "centro de coste {nnn}", f "cuenta {nnn}", f "cuenta de {cost}", m "presupuesto de {project}", m "centro de coste {nn}", f "periodificación de {month}",
    f "caja chica", f "cuenta puente", f "cuenta de {supplier}", f "partida de {cost}", f "provisión de {month}", f "fianza de {supplier}",
};

/// Places, for what lies or stands somewhere: with `en`.
#[rustfmt::skip]
pub(super) const PLACE: &[&str] = &[
    "en la {room}", "en la cocina de la planta {digit}", "en el archivo", "en el muelle de carga", "en la sala de servidores", "en recepción", "en el sótano",
    "en el aparcamiento", "en el comedor", "en el taller", "en la sala {room}", "en el almacén", "en reprografía", "en el pasillo de la {room}", "en la terraza",
    "en el guardarropa", "en el aula de formación", "en el trastero", "en la puerta de atrás", "en la entrada lateral", "en el botiquín", "en el laboratorio",
    "en el cajón de {who}", "en la mesa de {who}", "en el garaje", "en la sala de juntas", "en el armario de la {room}", "en el despacho de {who}",
];
