//! French: lists that templates draw from.
//!
//! Nouns have their article and are singular; the engine makes `du`, `au` and `d'` of what stands before them. `cost`, `supply` and
//! `position` have none and stand after `de`. Predicates fit either gender, those of `money_issue` an invoice.

/// By slot.
#[rustfmt::skip]
pub(super) static SLOTS: &[(&str, &[&str])] = &[
    ("when", &[
        "aujourd'hui", "demain", "demain matin", "{day}", "avant {day}", "{day} matin", "{day} après-midi", "d'ici {day}", "cette semaine", "la semaine prochaine",
        "avant le {soon}", "d'ici le {soon}", "fin {month_ahead}", "mi-{month_ahead}", "avant {meeting}", "après {meeting}", "au retour de {who}", "vers {time}",
        "{day} à {time}", "avant la fin du mois", "en {month_ahead}", "le {soon}", "dans {n} jours", "en fin de journée", "dès que possible", "d'ici la fin de semaine",
        "le {soon} à {time}", "début {month_ahead}", "quand {who} aura confirmé",
    ]),
    ("since", &[
        "depuis {day}", "depuis le {past}", "depuis {n} jours", "depuis {n} semaines", "depuis {meeting}", "depuis la version {version}", "depuis le mois dernier",
        "depuis {time}", "depuis un moment", "depuis le départ de {who}", "depuis le passage en salle {room}", "depuis les congés de {who}",
    ]),
    ("past_when", &[
        "hier", "{day}", "la semaine dernière", "avant {meeting}", "après {meeting}", "le {past}", "ce matin", "avant-hier", "en début de semaine", "{day} à {time}",
        "le {past} vers {time}", "il y a {n} jours",
    ]),
    ("deadline", &[
        "avant {day}", "avant le {soon}", "avant fin {month_ahead}", "d'ici mi-{month_ahead}", "avant {meeting}", "{day} midi au plus tard", "avant la fin de la semaine",
        "avant la fin du mois", "sous {n} jours", "{day} au plus tard", "le {soon} au plus tard", "d'ici {day} à {time}", "avant le départ de {who}",
        "sous {nn} jours", "d'ici le {soon}",
    ]),
    ("sched", &[
        "{day}", "{day} à {time}", "demain", "le {soon}", "la semaine prochaine", "{day} matin", "en {month_ahead}", "le {soon} à {time}", "fin {month_ahead}",
        "dans deux semaines", "juste après {meeting}", "aujourd'hui à {time}", "{day} après-midi",
    ]),
    ("meeting", &[
        "la réunion d'équipe", "le point hebdo", "le comité de direction", "le comité de pilotage", "la revue de projet", "l'appel avec {supplier}", "l'atelier {project}",
        "l'audit", "la réunion de lancement", "la visite client", "l'exercice incendie", "la revue trimestrielle", "la rétro", "le point budget", "le CSE",
        "l'entretien avec {who}", "la formation sécurité", "la démo", "la réunion fournisseurs", "l'inventaire", "la visite du site", "le séminaire",
        "la réunion de service", "le point avec {who}", "le point {project}", "la réunion de chantier", "le rendez-vous avec {supplier}", "la session de recrutement",
        "le bilan annuel", "la réunion de rentrée",
    ]),
    ("thing", &[
        "le devis", "le contrat", "la facture", "la livraison", "la nomenclature", "la liste des accès", "le plan des bureaux", "le tarif", "la feuille d'heures",
        "le planning des congés", "l'inventaire", "le plan de maintenance", "l'annuaire", "le tableau de budget", "le bon de livraison", "le bon de commande",
        "l'attestation d'assurance", "le rapport d'essai", "le procès-verbal", "la demande d'achat", "l'estimation", "l'accord-cadre", "le contrat d'entretien",
        "la check-list", "la présentation", "le planning du projet", "l'analyse de risques", "la demande de changement", "le plan de table", "le livret d'accueil",
        "la liste des clés", "l'exemplaire signé", "le bon de retour", "le compte rendu", "la note de frais", "le rapport mensuel", "la prévision", "le tableau de bord",
        "l'avenant", "le cahier des charges", "le RIB", "la fiche de contrôle", "la fiche technique", "le certificat",
    ]),
    ("doc", &[
        "l'offre {project}", "{thing} pour {supplier}", "le brouillon pour {who}", "le compte rendu de {meeting}", "le tableau de {month}", "le rapport de {month}",
        "{thing} du {past}", "la version {version} de {thing}", "le résumé pour {meeting}", "la liste des points ouverts de {project}", "{thing}", "le scan de {thing}",
        "la synthèse de {month}", "la note de passation", "le dossier {project}", "le fichier de {who}", "{thing} ({amount})", "la copie de {thing}",
    ]),
    ("contact", &[
        "{supplier}", "{who}", "{other}", "le propriétaire", "l'expert-comptable", "l'assurance", "la banque", "le transporteur", "le gardien", "l'agence de voyages",
        "la société de ménage", "le CSE", "l'avocate", "le réparateur", "l'électricien", "l'accueil", "le support", "l'hébergeur", "l'opérateur", "l'ascensoriste",
        "le commissaire aux comptes", "le support de {supplier}", "le commercial de {supplier}", "la mairie", "la mutuelle", "le cabinet de recrutement",
        "la société du parking", "l'opérateur téléphonique", "la société d'alarme", "la médecine du travail", "l'Urssaf", "le plombier", "le syndic",
    ]),
    ("place", &[
        "la salle {room}", "la cuisine du {floor}", "le local archives", "le local serveurs", "l'entrepôt", "l'atelier", "la réserve", "le hall", "la salle de pause",
        "la cave", "le parking", "le local à vélos", "le bureau {room}", "le couloir du {floor}", "l'infirmerie", "le vestiaire", "la salle de formation", "le labo",
        "le magasin", "le local courrier", "l'open space du {floor}", "la salle d'attente", "le garage", "le local ménage",
    ]),
    ("floor", &["1er", "2e", "3e", "4e", "5e"]),
    ("item", &[
        "du toner", "un deuxième écran", "{n} casques", "des feutres pour tableau", "{n} chaises", "un vidéoprojecteur", "du café", "{n} porte-badges", "{n} multiprises",
        "une étiqueteuse", "du papier", "une station d'accueil", "{n} claviers", "{nn} badges visiteurs", "un portable de secours", "des enveloppes", "une lampe de bureau",
        "un destructeur", "des piles", "{n} adaptateurs", "des cartes de visite pour {who}", "des gobelets", "un chargeur pour {who}", "un paperboard",
        "une clé de la salle {room}", "un badge de parking", "{n} casiers", "un scanner", "une souris pour {other}", "une trousse de secours", "{n} extincteurs",
        "un ventilateur", "un store", "des essuie-mains", "{n} classeurs", "une rallonge", "un écran pour {other}", "un fauteuil pour {who}",
    ]),
    ("supply", &[
        "toner", "papier", "café", "enveloppes", "piles", "essuie-mains", "étiquettes", "feutres", "papier bulle", "timbres", "eau", "liquide vaisselle", "colliers",
        "pochettes", "cahiers", "ampoules", "ruban adhésif", "lait", "palettes", "gants", "bouchons d'oreilles", "cartons", "sacs poubelle", "serviettes", "chemises",
    ]),
    ("device", &[
        "le vidéoprojecteur", "la machine à café", "le lave-vaisselle", "la machine à affranchir", "le scanner", "l'imprimante d'étiquettes", "le destructeur",
        "la fontaine à eau", "la clim", "le grand écran", "le copieur", "le traceur", "le lecteur de badges", "le frigo", "le chariot élévateur", "la pieuvre",
        "la station d'accueil de {who}", "le portable de {who}", "l'écran de {who}", "le bureau de {who}", "l'ascenseur", "l'alarme", "la pointeuse", "le massicot",
        "la plastifieuse", "la caméra du hall", "le rideau métallique", "le portail", "l'interphone", "le radiateur de la salle {room}",
    ]),
    ("system", &[
        "l'outil de tickets", "le wiki", "le VPN", "l'outil de saisie des temps", "le CRM", "la boutique en ligne", "l'intranet", "le partage de fichiers",
        "la passerelle mail", "le serveur de sauvegarde", "le standard", "le serveur d'impression", "la supervision", "l'ERP", "le serveur de build", "l'agenda partagé",
        "le portail RH", "l'archive des factures", "le proxy", "le contrôleur wifi", "le contrôle d'accès", "la boîte du scanner", "le site de recette",
        "l'entrepôt de données", "le serveur de test", "{host}", "le serveur {project}", "le coffre de mots de passe", "la GED", "l'outil de réservation",
    ]),
    ("service", &[
        "nginx", "postfix", "dovecot", "le proxy", "postgres", "mariadb", "redis", "samba", "cron", "le réplica ldap", "chrony", "bind", "le serveur dhcp", "rsyslog",
        "haproxy", "le serveur git", "sshd", "le serveur nfs", "elasticsearch", "la file de mail", "grafana", "prometheus", "rabbitmq", "l'agent de sauvegarde",
        "php-fpm", "tomcat", "le spooler", "fail2ban", "le serveur radius", "memcached",
    ]),
    ("part", &[
        "le disque {n}", "la deuxième alim", "la batterie du raid", "l'uplink", "le port {nn}", "le ventilateur arrière", "l'onduleur", "le sfp du port {nn}",
        "une barrette mémoire", "le lecteur de bandes", "le kvm", "le câble console", "la deuxième carte réseau", "le rail", "le pdu de la baie", "le ventilateur avant",
        "la carte contrôleur", "le ssd de boot",
    ]),
    ("symptom", &[
        "rame", "tombe vers {time}", "demande un redémarrage", "remplit le disque", "renvoie des erreurs", "part en timeout au bout de {nn} secondes",
        "tourne à {percent} de charge", "perd la connexion", "atteint la limite", "râle sur le certificat", "ne démarre plus", "demande deux fois le mot de passe",
        "affiche une mauvaise date", "bloque à {percent}", "plante au login", "signale un raid dégradé", "envoie tout en double", "manque de mémoire",
        "ignore les nouveaux réglages", "s'arrête à l'étape {n}", "a perdu sa licence", "ne répond pas depuis la salle {room}",
    ]),
    ("feature", &[
        "l'export", "la page de connexion", "la recherche", "le job d'import", "la vue facture", "le filtre du rapport", "la réinitialisation du mot de passe",
        "l'aperçu pdf", "l'envoi de fichiers", "l'affichage mobile", "le journal d'audit", "la page des droits", "le choix de date", "le calcul du prix",
        "le client api", "la logique de reprise", "le parseur csv", "le worker", "le cache", "la page de réglages", "la migration {project}", "le webhook",
        "le mail de notification", "la gestion de session", "l'arrondi des totaux", "la pagination", "l'option {project}", "la limite de débit",
        "le formulaire d'adresse", "la synchro de nuit",
    ]),
    ("bug", &[
        "plante sur une entrée vide", "se trompe d'un jour", "perd les accents", "échoue au-delà de {nnn} lignes", "renvoie {n} lignes de trop",
        "ignore le fuseau horaire", "rame avec {nnn} entrées", "affiche de vieilles données", "échoue derrière le proxy", "arrondit mal au-dessus de {amount}",
        "laisse des fichiers ouverts", "plante sans réseau", "compte deux fois les avoirs", "aurait besoin d'un verrou", "trie par nom et pas par date",
        "perd la dernière ligne", "casse avec la {version}", "part en timeout sur {host}", "ne dit pas pourquoi dans le log", "accepte des dates passées",
    ]),
    ("cost", &[
        "déplacement", "matériel", "licence", "formation", "ménage", "location", "téléphone", "hébergement", "assurance", "publicité", "transport", "réparation", "salon",
        "conseil", "énergie", "affranchissement", "parking", "traiteur", "leasing", "entretien", "traduction", "recrutement", "mobilier", "impression", "logiciel",
        "carburant", "recyclage", "gardiennage", "coursier", "abonnement", "intérim", "restauration", "douane", "stockage",
    ]),
    ("account", &[
        "le centre de coût {nnn}", "le compte 6{nnn}", "le compte {cost}", "le budget {project}", "le centre de coût {nn}", "la provision de {month}", "la petite caisse",
        "le compte d'attente", "le compte {supplier}", "la ligne {cost}", "l'acompte de {supplier}",
    ]),
    ("money_issue", &[
        "est fausse de {amount}", "est passée deux fois", "ne colle pas avec le relevé", "n'a pas de numéro de TVA", "n'a pas de numéro de commande", "est ouverte {since}",
        "a une mauvaise adresse", "a été payée le {past}", "attend une deuxième signature", "dépasse le plafond", "est à rattacher à {month}", "a le mauvais taux de TVA",
        "est répartie sur {n} centres de coût", "est en litige", "attend un avoir", "arrive à échéance le {soon}", "est sur {account}", "n'a pas de justificatif",
        "est au nom de {who}",
    ]),
    ("customer_act", &[
        "veut un nouveau devis", "demande {rate} de remise", "repousse le démarrage à {month_ahead}", "a besoin de {nn} licences de plus", "se plaint de {thing}",
        "décide avant {day}", "veut revoir la démo", "demande les délais de livraison", "a signé le {past}", "paie en {n} fois", "a un nouveau contact, plus {other}",
        "demande des références", "demande {thing} par écrit", "a annulé {day}", "nous compare à {other_supplier}", "veut {thing} avant le {soon}",
        "veut un contrat de {n} ans", "demande un appel à {time}", "renvoie {nn} pièces", "est content de {project}", "veut une seule facture",
        "demande un paiement à {nn} jours", "double la commande", "attend son comité", "attend une réponse {when}",
    ]),
    ("people_topic", &[
        "la fin de période d'essai", "le report de congés", "la prolongation du CDD", "le congé parental", "le certificat de travail", "le budget formation",
        "le passage à temps partiel", "la charte télétravail", "la revue des salaires", "l'annonce", "la journée d'intégration", "l'arrêt maladie", "le paiement des heures sup",
        "le forfait mobilité", "la prévoyance", "l'entretien de départ", "le cadeau d'ancienneté", "le titre de séjour", "la convention de stage", "le contrat d'alternance",
        "la prime", "le compte épargne temps", "la formation SST", "l'entretien annuel", "la visite médicale", "la question sur le bulletin de paie", "la sortie d'équipe",
        "la mutuelle", "l'avance sur salaire", "la carte resto",
    ]),
    ("position", &[
        "comptable", "administrateur systèmes", "assistant commercial", "office manager", "développeur back", "chef de dépôt", "stagiaire", "contrôleur de gestion",
        "technicien support", "acheteur", "chef de projet", "chargé d'accueil", "analyste de données", "alternant", "responsable grands comptes", "technicien de maintenance",
        "gestionnaire de paie", "responsable d'équipe", "magasinier",
    ]),
    ("verb_check", &["vérifier", "regarder", "relire", "revérifier", "contrôler", "comparer", "trier", "mettre au propre", "parcourir", "compléter"]),
    ("verb_send", &["envoyer", "transférer", "transmettre", "donner", "rendre", "montrer", "passer", "renvoyer"]),
    ("amount_of", &[
        "{n} sur {nn}", "{nn} pièces", "{nnn} articles", "{n} cartons", "{n} colis", "{nn} lignes", "{n} palettes", "{n} pages", "{nn} mètres", "{n} dossiers",
    ]),
    ("city", &[
        "Lyon", "Nantes", "Bordeaux", "Lille", "Strasbourg", "Rennes", "Toulouse", "Montpellier", "Grenoble", "Dijon", "Tours", "Reims", "Metz", "Nancy", "Rouen", "Caen",
        "Brest", "Lorient", "Valence", "Pau", "Bruxelles", "Genève", "Turin", "Marseille", "Nice", "Poitiers", "Limoges", "Besançon", "Mulhouse", "Chambéry",
    ]),
    ("snack", &[
        "un gâteau", "des fruits", "des sandwichs", "du café", "un repas pour {n}", "des croissants", "des boissons", "des viennoiseries", "un buffet pour {nn}",
        "des galettes", "un plateau de fromages", "des quiches", "un apéro", "des chouquettes",
    ]),
    ("rate", &["{n} %", "{n},5 %", "{n} %", "1{digit} %"]),
    ("digit", &["1", "2", "3", "4", "5", "6", "7", "8"]),
    ("nights", &["2", "3", "4", "5"]),
    ("outcome", &[
        "tout est bon", "toujours en cours", "encore une semaine", "d'accord avec {who}", "reporté à {day}", "pas de réponse pour l'instant", "on attend {who}",
        "il ne manque que {thing}", "à confirmer", "décalé à {month_ahead}", "pas pour nous", "{other} reprend", "moins cher que prévu", "plus long que prévu",
        "on en parle {when}", "à moitié fait", "comme dit {day}", "validé par {who}", "en pause", "refusé", "à refaire", "fait sauf {thing}", "{other} regarde {when}",
    ]),
    ("dir", &[
        "/var/log", "/srv/data", "/home", "/var/lib/postgresql", "/srv/backup", "/opt/{project}", "/var/spool", "/srv/partage", "/tmp", "/var/www", "/boot",
        "/srv/{project}", "/data", "/mnt/archives", "/var/cache", "/usr/local/bin", "/etc/ssl", "/srv/git", "/var/mail", "/opt/outils",
    ]),
    ("net", &[
        "le vlan {nn}", "le wifi invités", "le réseau bureautique", "la dmz", "la règle de pare-feu pour {supplier}", "l'entrée dns de {host}", "le tunnel vers {supplier}",
        "la route vers {host}", "l'exception proxy pour {project}", "la plage dhcp du {floor}", "le port 8{nnn}", "l'enregistrement mx", "l'enregistrement spf",
        "le reverse de {host}", "la source ntp", "le vlan voix", "le réseau caméras", "le vlan imprimantes", "le lien avec {city}", "la clé wifi",
    ]),
    ("branch", &[
        "la branche {project}", "la release {version}", "le hotfix {ticket}", "la branche {feature_name}", "{ticket}", "le dépôt {project}", "le tag {version}",
        "l'essai sur {feature_name}", "le merge de {ticket}", "le build {version}",
    ]),
    ("feature_name", &["export", "login", "search", "import", "billing", "reports", "uploads", "audit", "prices", "retry", "parser", "worker", "cache", "webhook", "sync", "paging", "filters", "mailer"]),
    ("lib", &[
        "la lib pdf", "l'orm", "le client http", "l'image de base", "le lanceur de tests", "le linter", "la jvm", "node", "python", "la lib de dates", "le paquet de logs",
        "le moteur de templates", "le parseur xml", "le client de file", "le kit d'interface", "openssl", "le driver de base", "le compilateur",
    ]),
];
