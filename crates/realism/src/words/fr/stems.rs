//! French: stems of file names. No stem of one class begins a stem of another.

/// Of notes.
#[rustfmt::skip]
pub(super) static NOTES: &[&str] = &[
    "petit-memo", "notes-reunion", "pense-bete", "idees", "idees-vrac", "vrac", "divers", "a-retenir", "rappels", "appels", "telephone", "coordonnees", "numeros",
    "codes", "infos", "tarifs", "fournisseurs", "infos-client", "imprimante", "cles", "hotel-deplacement", "deplacement", "parking-acces", "salles", "interrogations",
    "liens", "remarques", "doutes", "astuces", "notes-brutes", "cahier-perso", "bloc-notes", "en-vitesse", "discussion", "entretien", "pour-memoire", "commandes-infos",
    "livraisons", "noms", "contexte", "ne-pas-oublier", "gribouillis", "carnet", "prise-de-notes", "point-hebdo", "anecdotes", "reperes",
];

/// Of lists.
#[rustfmt::skip]
pub(super) static TODOS: &[&str] = &[
    "a-faire", "taches", "liste-courses", "cette-semaine", "semaine-prochaine", "aujourdhui", "demain", "fin-de-mois", "cloture-mois", "avant-conges", "suivi",
    "prochaines-etapes", "liste-taches", "en-attente", "reste-a-faire", "echeances", "delais", "urgent", "priorites", "ma-semaine", "journee", "non-termine",
    "relances", "a-relancer", "verifications", "liste-controle", "points-ouverts", "a-traiter", "demarches", "valise", "liste-demenagement", "preparatifs", "achats",
    "trimestre", "a-cloturer", "en-retard", "objectifs-semaine", "a-preparer", "en-cours", "a-revoir", "corvees", "bricoles", "pile", "avant-depart",
];

/// Of drafts.
#[rustfmt::skip]
pub(super) static DRAFTS: &[&str] = &[
    "brouillon", "courrier", "lettre", "compte-rendu", "cr-reunion", "devis", "rapport", "communique", "invitation-client", "circulaire", "proposition", "synthese",
    "reponse", "demande", "convocation", "ordre-du-jour", "annonce", "info-interne", "reclamation", "plainte", "reglement", "consignes", "discours", "trame",
    "evaluation-annuelle", "attestation", "dossier", "texte-contrat", "passation", "rapport-final", "declaration", "fiche-de-poste", "mode-emploi", "reunion",
    "resume", "sollicitation", "remerciements", "felicitations", "conditions", "procedure", "mise-en-demeure", "avenant", "cahier-des-charges", "charte", "offre",
];

/// Of scripts.
#[rustfmt::skip]
pub(super) static SCRIPTS: &[&str] = &[
    "sauvegarde", "nettoyer", "nettoyage", "controler", "synchro", "copier", "supprimer", "renommer", "compter", "sommer", "exporter", "importer", "deplacer",
    "compresser", "decompresser", "rotation", "surveiller", "espace-disque", "expiration-certif", "chercher-logs", "charger", "vider", "convertir", "repartir",
    "demarrer", "relancer-service", "telecharger", "trier", "filtrer", "comparer", "collecter", "archiver", "repliquer", "interroger", "mesurer", "occupation",
    "fusionner", "decouper", "epurer", "recharger", "etat-services", "verifier", "restaurer", "extraire", "superviser", "purger",
];
