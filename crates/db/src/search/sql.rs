//! Terms to SQL conditions: one bound value each, wildcards of the reader's text escaped.

use sea_orm::DbBackend;
use sea_orm::sea_query::{Condition, Expr, ExprTrait, LikeExpr};

use super::{Search, Term};
use crate::entity::log::Column;

/// The condition that all terms match, on table `logs`.
pub(crate) fn conditions(search: &Search, backend: DbBackend) -> Condition {
    search.terms.iter().fold(Condition::all(), |all, term| match term {
        Term::Decky(name) => all.add(equals(Column::Decky, name)),
        Term::Service(slug) => all.add(equals(Column::Service, slug)),
        Term::Event(kind) => all.add(equals(Column::EventType, kind)),
        Term::Attacker(ip) => all.add(equals(Column::AttackerIp, &canonical(ip))),
        Term::Field(key, value) => all.add(field(key, value, backend)),
        Term::Word(word) => all.add(
            [Column::RawLine, Column::Decky, Column::Service, Column::AttackerIp]
                .into_iter()
                .fold(Condition::any(), |any, column| any.add(contains(Expr::col(column), word, backend))),
        ),
    })
}

fn equals(column: Column, text: &str) -> Expr {
    Expr::col(column).eq(without_nul(text))
}

/// `text` occurs in `column`, ASCII case ignored.
pub(crate) fn contains(column: Expr, text: &str, backend: DbBackend) -> Expr {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in without_nul(text).chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    match backend {
        // SQLite's LIKE ignores ASCII case by itself.
        DbBackend::Sqlite => column.like(LikeExpr::new(pattern).escape('!')),
        // The C locale folds ASCII only, whatever the server's language.
        DbBackend::Postgres => Expr::cust_with_exprs(
            r#"lower($1 COLLATE "C") LIKE lower($2 COLLATE "C") ESCAPE '!'"#,
            [column, Expr::val(pattern)],
        ),
        _ => Expr::cust_with_exprs("LOWER(?) LIKE LOWER(?) ESCAPE '!'", [column, Expr::val(pattern)]),
    }
}

/// Member `key` of `fields` has the text `value`. Keys are plain words (see the parser), so they fit into a path.
fn field(key: &str, value: &str, backend: DbBackend) -> Expr {
    let column = Expr::col(Column::Fields);
    let value = Expr::val(without_nul(value));
    let path = Expr::val(format!("$.\"{key}\""));
    match backend {
        DbBackend::Postgres => {
            Expr::cust_with_exprs("($1::json ->> $2) = $3", [column, Expr::val(key), value])
        }
        DbBackend::Sqlite => Expr::cust_with_exprs(
            "CASE json_type(?, ?) WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' \
             ELSE CAST(json_extract(?, ?) AS TEXT) END = ?",
            [column.clone(), path.clone(), column, path, value],
        ),
        _ => Expr::cust_with_exprs("JSON_UNQUOTE(JSON_EXTRACT(?, ?)) = ?", [column, path, value]),
    }
}

/// Addresses are stored in canonical form; one written in another form means the same.
fn canonical(ip: &str) -> String {
    ip.parse::<std::net::IpAddr>().map_or_else(|_| ip.to_owned(), |ip| ip.to_canonical().to_string())
}

/// Stored text holds no NUL; PostgreSQL refuses one even in a question.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
