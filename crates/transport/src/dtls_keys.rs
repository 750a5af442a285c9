//! The tap on DTLS: str0m's pluggable provider hands the exported keys to our SRTP, and shares one checked configuration, which
//! would otherwise be validated anew for each PeerConnection (1 ms). What DTLS opened passes here on its way to SCTP, so that a peer
//! that abuses it is noticed.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use str0m::config::{CryptoProvider, DtlsCert, DtlsVersion};
use str0m::crypto::CryptoError;
use str0m::crypto::dtls::{DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, ProtocolVersion, SrtpProfile};

use crate::data::names_stream_beyond_limit;
use crate::srtp::Profile;

/// Keying material as DTLS exported it, with the profile it is for.
pub struct Exported {
    pub profile: Profile,
    pub material: Vec<u8>,
}

/// Where the keys of one connection appear. The lock is never contended: str0m wants its instances to be `Sync`, one thread uses it.
#[derive(Clone, Default)]
pub struct KeySlot(Arc<Mutex<Slot>>);

#[derive(Default)]
struct Slot {
    exported: Option<Exported>,
    abused: bool,
}

impl KeySlot {
    pub fn take(&self) -> Option<Exported> {
        self.lock().exported.take()
    }

    /// The peer sent data for an SCTP stream that no honest one uses.
    pub fn is_abused(&self) -> bool {
        self.lock().abused
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for KeySlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeySlot")
    }
}

thread_local! {
    // str0m makes its DTLS instance inside `RtcConfig::build`, which takes no argument of ours
    static NEXT: RefCell<Option<KeySlot>> = const { RefCell::new(None) };
}

/// Runs `build`; the DTLS instance made in it delivers into `slot`.
pub fn with_slot<T>(slot: &KeySlot, build: impl FnOnce() -> T) -> T {
    NEXT.with(|next| *next.borrow_mut() = Some(slot.clone()));
    let built = build();
    NEXT.with(|next| *next.borrow_mut() = None);
    built
}

/// str0m's provider of primitives with our tap as its DTLS.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    static TAP: Tap = Tap;
    PROVIDER.get_or_init(|| Arc::new(CryptoProvider { dtls_provider: &TAP, ..str0m::crypto::from_feature_flags() })).clone()
}

#[derive(Debug)]
struct Tap;

impl DtlsProvider for Tap {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        str0m::crypto::from_feature_flags().dtls_provider.generate_certificate()
    }

    fn new_dtls(
        &self,
        certificate: &DtlsCert,
        now: Instant,
        _version: DtlsVersion,
        _mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        static CONFIG: OnceLock<Result<Arc<dimpl::Config>, String>> = OnceLock::new();
        // ICE has proven the address before DTLS starts: a cookie would cost a round trip for nothing
        let config = CONFIG.get_or_init(|| {
            dimpl::Config::builder().use_server_cookie(false).build().map(Arc::new).map_err(|error| error.to_string())
        });
        let config = config.as_ref().map_err(|error| CryptoError::Other(error.clone()))?;
        let certificate =
            dimpl::DtlsCertificate { certificate: certificate.certificate.clone(), private_key: certificate.private_key.clone() };
        let dtls = dimpl::Dtls::new_12(config.clone(), certificate, now);
        let slot = NEXT.with(|next| next.borrow_mut().take()).unwrap_or_default();
        Ok(Box::new(Instance { dtls, slot }))
    }
}

struct Instance {
    dtls: dimpl::Dtls,
    slot: KeySlot,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("dtls_keys::Instance")
    }
}

impl DtlsInstance for Instance {
    fn set_active(&mut self, active: bool) {
        self.dtls.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.dtls.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> DtlsOutput<'a> {
        let output = self.dtls.poll_output(buffer);
        if let DtlsOutput::KeyingMaterial(material, profile) = &output
            && let Some(profile) = known(*profile)
        {
            self.slot.lock().exported = Some(Exported { profile, material: material.to_vec() });
        }
        if let DtlsOutput::ApplicationData(packet) = &output
            && names_stream_beyond_limit(packet)
        {
            self.slot.lock().abused = true;
        }
        output
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.dtls.handle_timeout(now)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        self.dtls.send_application_data(data)
    }

    fn is_active(&self) -> bool {
        self.dtls.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.dtls.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.dtls.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.dtls.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.dtls.close()
    }
}

fn known(profile: SrtpProfile) -> Option<Profile> {
    match profile {
        SrtpProfile::AEAD_AES_256_GCM => Some(Profile::AeadAes256Gcm),
        SrtpProfile::AEAD_AES_128_GCM => Some(Profile::AeadAes128Gcm),
        SrtpProfile::AES128_CM_SHA1_80 => Some(Profile::Aes128CmSha1_80),
        _ => None,
    }
}
