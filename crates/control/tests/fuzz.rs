//! Fuzz entries of this crate's parsers.

use sluicegate_control::fuzz;

#[test]
fn fuzz_join() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let (query, user_agent) = text.split_once('\n').unwrap_or((&text, ""));
        fuzz::join(query, user_agent);
    });
}

#[test]
fn fuzz_signal() {
    bolero::check!().for_each(|bytes: &[u8]| fuzz::signal(bytes));
}

#[test]
fn fuzz_twirp() {
    bolero::check!().for_each(|bytes: &[u8]| fuzz::twirp(bytes));
}
