//! The parameters of a query string (or of a form), percent-decoded; the first of a name counts.

use axum::extract::Query as UriQuery;
use axum::http::Uri;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn of(uri: &Uri) -> Self {
        Self(UriQuery::try_from_uri(uri).map(|UriQuery(pairs)| pairs).unwrap_or_default())
    }

    /// `application/x-www-form-urlencoded`.
    pub fn parse(text: &str) -> Self {
        // Only what may stand in a URI is taken over: a form that was not encoded is no form.
        let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '#' | '<' | '>' | '"' | '`' | '{' | '}' | '\\' | '^' | '|');
        let text: String = text.chars().filter(|c| allowed(*c)).collect();
        Uri::builder().path_and_query(format!("/?{text}")).build().map(|uri| Self::of(&uri)).unwrap_or_default()
    }

    /// Absent and empty are the same.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    /// LiveKit: `1` and `true` are true, and nothing else is.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name) {
            "" => None,
            value => Some(matches!(value, "1" | "true")),
        }
    }

    /// 0 where it is no number.
    pub fn number(&self, name: &str) -> i32 {
        self.get(name).parse().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_the_first_counts() {
        let query = Query::parse("a=1&b=x%20y&a=2&c&d=true&e=-7&f=%ff&=&&g=p+q");
        assert_eq!((query.get("a"), query.get("b"), query.get("g"), query.get("c")), ("1", "x y", "p q", ""));
        assert_eq!(
            (query.flag("a"), query.flag("b"), query.flag("d"), query.flag("c")),
            (Some(true), Some(false), Some(true), None)
        );
        assert_eq!((query.number("e"), query.number("b")), (-7, 0));
    }
}
