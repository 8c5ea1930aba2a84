//! How long an upstream keeps an idle connection.

use std::time::Duration;

use http::HeaderMap;

/// A connection is given up so long before the upstream closes it.
const MARGIN: Duration = Duration::from_secs(1);

/// What `Keep-Alive: timeout=5` says (RFC 2068 section 19.7.1.1), less a margin for the way.
pub(crate) fn keep_alive(fields: &HeaderMap) -> Option<Duration> {
    let values = fields.get_all("keep-alive").iter().filter_map(|value| value.to_str().ok());
    let parameters = values.flat_map(|value| value.split(','));
    let seconds = parameters.filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let seconds = || value.trim().parse().ok();
        if name.trim().eq_ignore_ascii_case("timeout") { seconds() } else { None }
    });
    seconds.min().map(|told| Duration::from_secs(told).saturating_sub(MARGIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn told(values: &[&'static str]) -> Option<u64> {
        let mut fields = HeaderMap::new();
        for value in values {
            fields.append("keep-alive", HeaderValue::from_static(value));
        }
        keep_alive(&fields).map(|time| time.as_secs())
    }

    #[test]
    fn cn5_stays_below_what_the_upstream_says() {
        assert_eq!(told(&[]), None);
        assert_eq!(told(&["timeout=5, max=100"]), Some(4));
        assert_eq!(told(&["max=100", " Timeout = 7 ", "timeout=3"]), Some(2));
        assert_eq!(told(&["timeout=0"]), Some(0));
        assert_eq!(told(&["timeout=soon, max"]), None);
    }
}
