//! Caches one page of a device: `fatfs` reads and writes directories a few bytes at a time.

use std::io::{self, Read, Seek, SeekFrom, Write};
use zeroize::Zeroizing;

/// A device with one cached page. Writes reach the device by [`Write::flush`].
pub(super) struct Paged<D> {
    device: D,
    length: u64,
    at: u64,
    page: Zeroizing<Vec<u8>>,
    /// Offset of the page on the device; `None` before the first page.
    start: Option<u64>,
    is_dirty: bool,
}

impl<D: Read + Write + Seek> Paged<D> {
    /// Wraps the first `length` bytes of a device.
    pub(super) fn new(device: D, length: u64) -> Self {
        Self {
            device,
            length,
            at: 0,
            page: Zeroizing::new(Vec::with_capacity(PAGE)),
            start: None,
            is_dirty: false,
        }
    }

    /// Returns the rest of the page from the current position; empty at the device's end.
    fn rest(&mut self) -> io::Result<&mut [u8]> {
        let offset = self.at % PAGE_BYTES;
        let start = self.at - offset;
        if self.start != Some(start) {
            self.write_back()?;
            self.start = None;
            let bytes = self.length.saturating_sub(start).min(PAGE_BYTES);
            let bytes = usize::try_from(bytes).unwrap_or(PAGE);
            self.page.resize(bytes, 0);
            self.device.seek(SeekFrom::Start(start))?;
            self.device.read_exact(&mut self.page)?;
            self.start = Some(start);
        }
        let offset = usize::try_from(offset).unwrap_or(PAGE);
        Ok(self.page.get_mut(offset..).unwrap_or_default())
    }

    fn write_back(&mut self) -> io::Result<()> {
        if let (true, Some(start)) = (self.is_dirty, self.start) {
            self.device.seek(SeekFrom::Start(start))?;
            self.device.write_all(&self.page)?;
            self.is_dirty = false;
        }
        Ok(())
    }

    fn advance(&mut self, bytes: usize) -> usize {
        let by = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.at = self.at.saturating_add(by);
        bytes
    }
}

impl<D: Read + Write + Seek> Read for Paged<D> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = (&*self.rest()?).read(into)?;
        Ok(self.advance(read))
    }
}

impl<D: Read + Write + Seek> Write for Paged<D> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.rest()?.write(bytes)?;
        self.is_dirty |= written > 0;
        Ok(self.advance(written))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_back()?;
        self.device.flush()
    }
}

impl<D: Read + Write + Seek> Seek for Paged<D> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

const PAGE: usize = 4096;
const PAGE_BYTES: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    const LENGTH: u64 = 3 * PAGE_BYTES - 512;

    #[derive(Clone, Debug)]
    enum Step {
        Flush,
        Read(usize),
        Seek(u64),
        Write(Vec<u8>),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            Just(Step::Flush),
            (0usize..9000).prop_map(Step::Read),
            (0..LENGTH + 10).prop_map(Step::Seek),
            prop::collection::vec(any::<u8>(), 0..6000).prop_map(Step::Write),
        ];
        prop::collection::vec(step, 1..20)
    }

    proptest! {
        #[test]
        fn a_paged_device_reads_and_writes_as_the_device_itself(steps in steps()) {
            let bytes = vec![7; usize::try_from(LENGTH).unwrap()];
            let mut plain = Cursor::new(bytes.clone().into_boxed_slice());
            let mut device = Cursor::new(bytes.into_boxed_slice());
            let mut paged = Paged::new(&mut device, LENGTH);
            for step in steps {
                match step {
                    Step::Flush => paged.flush().unwrap(),
                    Step::Read(length) => {
                        let (mut one, mut other) = (vec![0; length], vec![0; length]);
                        let read = read_all(&mut plain, &mut one);
                        prop_assert_eq!(read_all(&mut paged, &mut other), read);
                        prop_assert_eq!(one, other);
                    }
                    Step::Seek(at) => {
                        let at = SeekFrom::Start(at);
                        prop_assert_eq!(paged.seek(at).unwrap(), plain.seek(at).unwrap());
                    }
                    Step::Write(bytes) => {
                        let ours = paged.write_all(&bytes).is_ok();
                        prop_assert_eq!(ours, plain.write_all(&bytes).is_ok());
                    }
                }
            }
            paged.flush().unwrap();
            prop_assert_eq!(device.into_inner(), plain.into_inner());
        }
    }

    fn read_all(device: &mut impl Read, into: &mut [u8]) -> usize {
        let mut done = 0;
        while done < into.len() {
            match device.read(&mut into[done..]).unwrap() {
                0 => break,
                read => done += read,
            }
        }
        done
    }

    /// A device that allows only whole pages, with a count of its writes.
    struct InPages(Cursor<Vec<u8>>, usize);

    impl Read for InPages {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.0.read(into)
        }
    }

    impl Write for InPages {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 += 1;
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Seek for InPages {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            match to {
                SeekFrom::Start(at) if at % PAGE_BYTES == 0 => self.0.seek(to),
                _ => Err(io::ErrorKind::InvalidInput.into()),
            }
        }
    }

    #[test]
    fn the_device_is_read_and_written_in_whole_pages() {
        let device = InPages(Cursor::new(vec![0; 3 * PAGE]), 0);
        let mut paged = Paged::new(device, 3 * PAGE_BYTES);
        assert_eq!(paged.write(&[]).unwrap(), 0);
        paged.flush().unwrap();
        assert_eq!(paged.device.1, 0, "nothing was written");
        paged.seek(SeekFrom::Start(PAGE_BYTES + 904)).unwrap();
        paged.write_all(&[7; 4000]).unwrap();
        paged.flush().unwrap();
        let bytes = paged.device.0.into_inner();
        let written: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == 7).collect();
        assert_eq!(written, Vec::from_iter(5000..9000));
    }
}
