//! The polkit rule that lets the API start, stop and restart the units of the table: exact names, three verbs, one user.

use decnet_bus::Worker;

use crate::{TARGET, user_of};

/// The units that the rule names.
pub fn polkit_units() -> Vec<String> {
    let mut units: Vec<_> = Worker::BUILT.iter().map(|worker| worker.unit()).collect();
    units.push(TARGET.to_owned());
    units
}

/// `polkit-1/rules.d/50-decnet.rules`.
pub fn polkit_rule() -> String {
    let units: Vec<_> = polkit_units().iter().map(|unit| format!("    \"{unit}\"")).collect();
    format!(
        "// Written by decnet: the workers panel may start, stop and restart the units of DECNET, and no others.\n\
         polkit.addRule(function(action, subject) {{\n  \
           var units = [\n{}\n  ];\n  \
           var verbs = [\"start\", \"stop\", \"restart\"];\n  \
           if (action.id === \"org.freedesktop.systemd1.manage-units\" &&\n      \
             subject.user === \"{}\" &&\n      \
             units.indexOf(action.lookup(\"unit\")) !== -1 &&\n      \
             verbs.indexOf(action.lookup(\"verb\")) !== -1) {{\n    \
             return polkit.Result.YES;\n  \
           }}\n  \
           return polkit.Result.NOT_HANDLED;\n\
         }});\n",
        units.join(",\n"),
        user_of(Worker::Api),
    )
}
