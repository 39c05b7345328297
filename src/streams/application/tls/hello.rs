//! Client and server hello (RFC 8446 sections 4.1.2 and 4.1.3, RFC 5246 sections 7.4.1.2 and 7.4.1.3).
//!
//! Both are read as far as they go: a hello cut by the snaplen still shows what stands before the cut.

use super::super::reader::Reader;

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const PRE_SHARED_KEY: u16 = 41;
const SUPPORTED_VERSIONS: u16 = 43;

/// Names of protocols that are kept of one hello.
const MAX_PROTOCOLS: usize = 32;

/// The random value that makes a server hello a request to try again (RFC 8446 section 4.1.3).
const HELLO_RETRY_REQUEST: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What a client hello says.
#[derive(Debug, Default)]
pub(in crate::streams::application) struct ClientHello<'b> {
    pub(in crate::streams::application) version: Option<u16>,
    pub(in crate::streams::application) session: &'b [u8],
    pub(in crate::streams::application) server_name: Option<&'b [u8]>,
    pub(in crate::streams::application) protocols: Vec<&'b [u8]>,
}

/// What a server hello says.
#[derive(Debug, Default)]
pub(in crate::streams::application) struct ServerHello<'b> {
    pub(in crate::streams::application) retry: bool,
    pub(in crate::streams::application) version: Option<u16>,
    pub(in crate::streams::application) session: &'b [u8],
    pub(in crate::streams::application) cipher_suite: Option<u16>,
    pub(in crate::streams::application) protocol: Option<&'b [u8]>,
    pub(in crate::streams::application) pre_shared_key: bool,
}

impl<'b> ClientHello<'b> {
    pub(in crate::streams::application) fn read(body: &'b [u8]) -> Self {
        let mut hello = Self::default();
        // Missing bytes end the reading, not the hello.
        let _ = hello.fields(Reader(body));
        hello
    }

    fn fields(&mut self, mut body: Reader<'b>) -> Option<()> {
        self.version = Some(body.u16()?);
        body.take(32)?;
        self.session = body.vector8()?.0;
        let _cipher_suites = body.vector16()?;
        let _compression = body.vector8()?;
        for (kind, mut data) in extensions(body) {
            // An extension that is damaged says nothing; the next one may.
            let _ = self.extension(kind, &mut data);
        }
        Some(())
    }

    fn extension(&mut self, kind: u16, data: &mut Reader<'b>) -> Option<()> {
        match kind {
            SERVER_NAME => {
                let mut names = data.vector16()?;
                while !names.is_empty() {
                    let host = names.u8()? == 0;
                    let name = names.vector16()?.0;
                    if host && self.server_name.is_none() {
                        self.server_name = Some(name);
                    }
                }
            }
            ALPN => {
                let mut names = data.vector16()?;
                while self.protocols.len() < MAX_PROTOCOLS && !names.is_empty() {
                    self.protocols.push(names.vector8()?.0);
                }
            }
            SUPPORTED_VERSIONS => {
                let mut versions = data.vector8()?;
                let mut highest = None;
                while let Some(version) = versions.u16() {
                    if !is_grease(version) {
                        highest = highest.max(Some(version));
                    }
                }
                self.version = highest.or(self.version);
            }
            _ => {}
        }
        Some(())
    }
}

impl<'b> ServerHello<'b> {
    pub(in crate::streams::application) fn read(body: &'b [u8]) -> Self {
        let mut hello = Self::default();
        // Missing bytes end the reading, not the hello.
        let _ = hello.fields(Reader(body));
        hello
    }

    fn fields(&mut self, mut body: Reader<'b>) -> Option<()> {
        self.version = Some(body.u16()?);
        self.retry = body.take(32)? == HELLO_RETRY_REQUEST;
        self.session = body.vector8()?.0;
        self.cipher_suite = Some(body.u16()?);
        let _compression = body.u8()?;
        for (kind, mut data) in extensions(body) {
            match kind {
                ALPN => self.protocol = data.vector16().and_then(|mut names| Some(names.vector8()?.0)),
                SUPPORTED_VERSIONS => self.version = data.u16().or(self.version),
                PRE_SHARED_KEY => self.pre_shared_key = true,
                _ => {}
            }
        }
        Some(())
    }
}

/// The extensions, as far as they are whole.
fn extensions(mut body: Reader<'_>) -> impl Iterator<Item = (u16, Reader<'_>)> {
    let announced = body.u16().map_or(0, usize::from);
    let mut rest = Reader(body.0.get(..announced).unwrap_or(body.0));
    std::iter::from_fn(move || Some((rest.u16()?, rest.vector16()?)))
}

/// A value that clients send to keep servers tolerant (RFC 8701).
fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}
