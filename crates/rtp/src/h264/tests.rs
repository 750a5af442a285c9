use proptest::prelude::*;

use super::*;

fn types(payload: &[u8]) -> Vec<u8> {
    nal_types(payload).collect()
}

#[test]
fn single_units() {
    assert_eq!(types(&[0x65, 1]), [NAL_IDR]);
    assert!(is_key_frame(&[0x65, 1]) && is_key_frame(&[0x67, 0x42]));
    assert!(!is_key_frame(&[0x41, 1]) && !is_key_frame(&[0x68]) && !is_key_frame(&[]));
    assert!(starts_nal(&[0x41, 1]) && !starts_nal(&[]));
}

#[test]
fn aggregates() {
    // STAP-A of an access unit delimiter and a sequence parameter set.
    let stap = [0x78, 0, 2, 0x09, 0xF0, 0, 3, 0x67, 0x42, 0xE0];
    assert_eq!(types(&stap), [NAL_AUD, NAL_SPS]);
    assert!(is_key_frame(&stap));
    assert_eq!(types(&stap[..9]), [NAL_AUD], "the second is cut short");
    assert_eq!(types(&[0x78, 0, 0, 0, 1, 0x67]), [], "an empty unit ends the walk");
    assert_eq!(types(&[0x79, 0xAA, 0xBB, 0, 1, 0x65]), [NAL_IDR], "STAP-B has a decoding order number");
    assert_eq!(types(&[0x7A, 0xAA, 0xBB, 0, 1, 1, 2, 3, 0x65]), [NAL_IDR], "MTAP16: DOND and two bytes of offset");
    assert_eq!(types(&[0x7B, 0xAA, 0xBB, 0, 1, 1, 2, 3, 4, 0x65]), [NAL_IDR], "MTAP24: three");
}

#[test]
fn fragments() {
    assert!(is_key_frame(&[0x7C, 0x85, 1]) && starts_nal(&[0x7C, 0x85, 1]));
    assert!(!is_key_frame(&[0x7C, 0x05, 1]) && !starts_nal(&[0x7C, 0x05, 1]), "the middle");
    assert!(!is_key_frame(&[0x7C, 0x45, 1]), "the end");
    assert!(!is_key_frame(&[0x7C, 0x81, 1]) && !is_key_frame(&[0x7C]) && !starts_nal(&[0x7C]));
}

#[test]
fn profiles() {
    let parse = |text| ProfileLevelId::parse(text).map(|id| (id.profile, id.level_tenths));
    assert_eq!(parse("42e01f"), Some((Profile::ConstrainedBaseline, 31)));
    assert_eq!(parse("42E034"), Some((Profile::ConstrainedBaseline, 52)));
    assert_eq!(parse("42001f"), Some((Profile::Baseline, 31)));
    assert_eq!(parse("4d001f"), Some((Profile::Main, 31)));
    assert_eq!(parse("640c1f"), Some((Profile::ConstrainedHigh, 31)));
    assert_eq!(parse("640032"), Some((Profile::High, 50)));
    assert_eq!(parse("f4001f"), Some((Profile::PredictiveHigh444, 31)));
    assert_eq!(parse("42f00b"), Some((Profile::ConstrainedBaseline, 9)), "level 1b");
    for wrong in ["", "42e01", "42e01g", "42e01f0", "+2e01f", "000000", "42e0\u{e9}"] {
        assert_eq!(parse(wrong), None, "{wrong}");
    }
    let baseline = ProfileLevelId::parse("42e01f").unwrap();
    assert!(baseline.same_profile(ProfileLevelId::parse("42e034").unwrap()));
    assert!(!baseline.same_profile(ProfileLevelId::DEFAULT));
}

proptest! {
    #[test]
    fn total(payload in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,8}") {
        prop_assert!(nal_types(&payload).count() <= payload.len());
        let _ = (is_key_frame(&payload), starts_nal(&payload), ProfileLevelId::parse(&text));
    }

    #[test]
    fn every_six_digits(number in 0u32..0x100_0000) {
        let _ = ProfileLevelId::parse(&format!("{number:06x}"));
    }
}
