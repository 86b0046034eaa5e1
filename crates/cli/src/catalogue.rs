//! `decnet services|archetypes|distros`: the catalogue, which needs neither broker nor database.

use anyhow::Result;
use decnet_fleet::catalogue;
use serde_json::json;

use crate::render::{self, Format};

pub(crate) fn services(format: Format) -> Result<()> {
    let ports =
        |s: &catalogue::Service| s.ports.iter().map(|p| p.port.to_string()).collect::<Vec<_>>().join(", ");
    let services = catalogue::services();
    if format.json {
        return render::json(
            &services
                .iter()
                .map(|s| {
                    json!({
                        "slug": s.slug, "name": s.name, "description": s.description, "available": s.available,
                        "ports": s.ports.iter().map(|p| p.port.to_string()).collect::<Vec<_>>(),
                        "settings": s.settings,
                    })
                })
                .collect::<Vec<_>>(),
        );
    }
    render::table(
        ["service", "ports", "available", "what it is"],
        services.iter().map(|s| {
            let available = if s.available { "yes" } else { "not built yet" };
            [s.slug.to_owned(), ports(s), available.to_owned(), s.description.to_owned()]
        }),
    )
}

pub(crate) fn archetypes(format: Format) -> Result<()> {
    let archetypes = catalogue::archetypes();
    if format.json {
        return render::json(
            &archetypes
                .iter()
                .map(|a| {
                    json!({
                        "slug": a.slug, "name": a.name, "description": a.description, "services": a.services,
                        "distros": a.distros, "os_family": a.os_family,
                    })
                })
                .collect::<Vec<_>>(),
        );
    }
    render::table(
        ["archetype", "services", "distros", "what it is"],
        archetypes.iter().map(|a| {
            [a.slug.to_owned(), a.services.join(", "), a.distros.join(", "), a.description.to_owned()]
        }),
    )
}

pub(crate) fn distros(format: Format) -> Result<()> {
    let distros = catalogue::distros();
    if format.json {
        return render::json(
            &distros
                .iter()
                .map(|d| json!({ "slug": d.slug, "name": d.name, "os_pretty": d.os_pretty, "image": d.base_image }))
                .collect::<Vec<_>>(),
        );
    }
    render::table(
        ["distro", "shown as", "image"],
        distros.iter().map(|d| [d.slug.to_owned(), d.name.to_owned(), d.base_image.to_owned()]),
    )
}
