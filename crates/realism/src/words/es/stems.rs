//! Spanish: stems of file names. No stem of one class begins a stem of another.

/// Of notes.
#[rustfmt::skip]
pub(super) static NOTES: &[&str] = &[
    "apuntes", "apunte", "anotaciones", "ideas-sueltas", "preguntas", "llamadas", "telefonos", "contactos", "recordar", "recordatorio", "datos", "numeros",
    "precios", "proveedores", "clientes-info", "impresora", "llaves", "hotel-viaje", "viaje", "parking-info", "salas", "notas-reunion", "varios", "cosas",
    "enlaces", "observaciones", "dudas", "trucos", "a-mano", "cuaderno", "bloc", "rapido", "conversacion", "de-la-reunion", "para-acordarse", "curiosidades",
    "pedidos-info", "sueltos", "entregas", "nombres", "charla", "contexto", "no-olvidar", "avisos-varios",
];

/// Of lists.
#[rustfmt::skip]
pub(super) static TODOS: &[&str] = &[
    "tareas", "por-hacer", "pendientes", "pendiente", "lista-compra", "esta-semana", "semana-que-viene", "hoy", "manana", "fin-de-mes", "cierre-mes",
    "antes-vacaciones", "recados", "seguimiento", "proximos-pasos", "lista-tareas", "lo-pendiente", "hacer", "que-falta", "plazos", "vencimientos", "urgente",
    "prioridades", "semana-plan", "jornada", "a-la-espera", "sin-terminar", "repasar", "comprobaciones", "lista-control", "acciones", "encargos", "gestiones",
    "maleta", "mudanza-lista", "preparativos", "compras", "trimestre", "asuntos-abiertos", "por-cerrar", "flecos", "atrasado", "objetivos-semana",
];

/// Of drafts.
#[rustfmt::skip]
pub(super) static DRAFTS: &[&str] = &[
    "borrador", "carta", "escrito", "acta", "oferta", "presupuesto", "informe", "comunicado", "invitacion", "circular-interna", "propuesta", "resumen", "respuesta",
    "solicitud", "convocatoria", "orden-del-dia", "anuncio", "nota-interna", "reclamacion", "queja", "normativa", "instrucciones", "discurso", "guion",
    "evaluacion", "certificado", "memoria", "contrato-texto", "traspaso", "informe-final", "declaracion", "nota-prensa", "descripcion", "manual-uso", "reunion",
    "minuta", "peticion", "agradecimiento", "felicitacion", "condiciones", "procedimiento", "alegaciones", "requerimiento", "valoracion",
];

/// Of scripts.
#[rustfmt::skip]
pub(super) static SCRIPTS: &[&str] = &[
    "copia-seguridad", "limpiar", "limpieza", "comprobar", "sincronizar", "copiar", "borrar", "renombrar", "contar", "sumar", "exportar", "importar", "mover",
    "comprimir", "descomprimir", "rotar", "vigilar", "espacio-disco", "caducidad-cert", "buscar-logs", "cargar", "volcar", "convertir", "repartir", "arrancar",
    "reiniciar", "descargar", "ordenar", "filtrar", "comparar", "recoger", "archivar", "replicar", "consultar", "medir", "ocupacion", "unir", "dividir", "depurar",
    "recargar", "servicios-ok", "verificar", "restaurar", "extraer", "monitorizar",
];
