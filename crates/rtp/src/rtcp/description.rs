//! Who the sources are and when they leave (RFC 3550 §6.5, §6.6).

use crate::cursor::Cursor;

/// Item types of a source description.
pub const CNAME: u8 = 1;
/// RFC 8843 §16.1.
pub const MID: u8 = 15;

/// A source description as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceDescription<'a> {
    pub(super) body: &'a [u8],
    pub(super) count: u8,
}

/// What is said of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    pub ssrc: u32,
    items: &'a [u8],
}

/// One statement; the value is text as sent: compare it, never trust it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    pub kind: u8,
    pub value: &'a [u8],
}

impl<'a> SourceDescription<'a> {
    /// The chunks, 31 at most; ends at the first that is malformed.
    pub fn chunks(&self) -> impl Iterator<Item = Chunk<'a>> + use<'a> {
        let mut cursor = Cursor::new(self.body);
        (0..self.count).map_while(move |_| {
            let ssrc = cursor.u32()?;
            let items = cursor.rest();
            let mut len = 0;
            while let Some(item) = read_item(&mut cursor) {
                len += 2 + item.value.len();
            }
            // One zero ends the items, more of them fill up to a word; the chunk began at one.
            cursor.take((len + 1).next_multiple_of(4) - len)?;
            Some(Chunk { ssrc, items: items.get(..len)? })
        })
    }

    /// The first CNAME and whose it is.
    pub fn cname(&self) -> Option<(u32, &'a [u8])> {
        self.chunks().find_map(|chunk| Some((chunk.ssrc, chunk.item(CNAME)?)))
    }
}

impl<'a> Chunk<'a> {
    pub fn items(&self) -> impl Iterator<Item = Item<'a>> + use<'a> {
        let mut cursor = Cursor::new(self.items);
        std::iter::from_fn(move || read_item(&mut cursor))
    }

    /// The value of the first item of a kind.
    pub fn item(&self, kind: u8) -> Option<&'a [u8]> {
        self.items().find(|item| item.kind == kind).map(|item| item.value)
    }
}

/// Leaves the cursor where it was when there is no item.
fn read_item<'a>(cursor: &mut Cursor<'a>) -> Option<Item<'a>> {
    let mut ahead = *cursor;
    let kind = ahead.u8().filter(|kind| *kind != 0)?;
    let len = ahead.u8()?;
    let value = ahead.take(usize::from(len))?;
    *cursor = ahead;
    Some(Item { kind, value })
}

/// Sources that leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bye<'a> {
    pub(super) body: &'a [u8],
    pub(super) count: u8,
}

impl<'a> Bye<'a> {
    pub fn ssrcs(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.body.chunks_exact(4).take(usize::from(self.count)).filter_map(|bytes| Cursor::new(bytes).u32())
    }

    /// Why, where it is said.
    pub fn reason(&self) -> Option<&'a [u8]> {
        let mut cursor = Cursor::new(self.body.get(usize::from(self.count) * 4..)?);
        let len = cursor.u8()?;
        cursor.take(usize::from(len))
    }
}
