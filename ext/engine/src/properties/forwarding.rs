//! What is told of the client and the way.

use http::{HeaderName, HeaderValue, header};
use proptest::prelude::*;
use proptest::sample::select;

use super::{Fields, head, lines, quick};
use crate::headers::{ClientFacts, Forwarding, XForwarded, compose};
use crate::upload::BodyKind;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Lines of X-Forwarded-For, empty and malformed ones too, between others.
fn chain() -> impl Strategy<Value = Fields> {
    lines(&["x-forwarded-for", "x-a"], 6)
}

fn client(address: Option<&'static str>) -> ClientFacts {
    ClientFacts {
        address: address.map(HeaderValue::from_static),
        version: "1.1".to_owned(),
        ..ClientFacts::default()
    }
}

fn forwarded(
    fields: &Fields,
    address: Option<&'static str>,
    x_forwarded: XForwarded,
) -> Vec<Vec<u8>> {
    let forwarding = Forwarding { x_forwarded, ..Forwarding::default() };
    let sent = compose(&head("GET", fields, client(address)), BodyKind::None, &forwarding, &[]);
    sent.get_all(FOR).iter().map(|value| value.as_bytes().to_vec()).collect()
}

fn inbound(fields: &Fields) -> Vec<&[u8]> {
    let lines = fields.iter().filter(|(name, _)| *name == FOR).map(|(_, value)| value.as_bytes());
    lines.filter(|value| !value.is_empty()).collect()
}

proptest! {
    #![proptest_config(quick())]

    #[test]
    fn fw3_the_chain_is_kept_and_exactly_one_address_added(
        fields in chain(),
        address in select(&["9.9.9.9", "2001:db8::1"][..]),
    ) {
        let whole = [inbound(&fields), vec![address.as_bytes()]].concat().join(&b", "[..]);
        prop_assert_eq!(forwarded(&fields, Some(address), XForwarded::Append), [whole]);
        prop_assert_eq!(
            forwarded(&fields, Some(address), XForwarded::Replace),
            [address.as_bytes().to_vec()]
        );
    }

    #[test]
    fn fw5_a_client_without_an_address_adds_nothing(fields in chain()) {
        let whole = inbound(&fields).join(&b", "[..]);
        let kept = if whole.is_empty() { vec![] } else { vec![whole] };
        prop_assert_eq!(forwarded(&fields, None, XForwarded::Append), kept);
        prop_assert_eq!(forwarded(&fields, None, XForwarded::Replace), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn fw6_fw7_each_pass_is_one_entry_in_via(
        fields in lines(&["via", "x-a"], 4),
        passes in 0..6_u32,
    ) {
        let forwarding = Forwarding { via: true, ..Forwarding::default() };
        let mut fields = fields;
        for _ in 0..passes {
            let sent = compose(
                &head("GET", &fields, client(None)),
                BodyKind::None,
                &forwarding,
                &[],
            );
            // As a server joins them.
            let lines: Vec<_> = sent.get_all(header::VIA).iter().map(HeaderValue::as_bytes).collect();
            let joined = HeaderValue::from_bytes(&lines.join(&b", "[..])).expect("a value");
            fields = vec![(header::VIA, joined)];
        }
        let last = head("GET", &fields, client(None));
        prop_assert!(last.loop_detected(passes).is_none());
        prop_assert_eq!(passes > 0, last.loop_detected(passes.saturating_sub(1)).is_some());
    }
}
