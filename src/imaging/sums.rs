//! Parses checksum files: output of `sha256sum`, `shasum --tag` and `openssl dgst`, or only the
//! digits.

/// Hex digits of a line, and the name of their function in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sum<'a> {
    pub(super) digits: &'a str,
    function: Option<&'a [u8]>,
}

impl Sum<'_> {
    /// Checks whether the sum may be of a function, by its name in `hashlib`: most lines name none.
    pub(super) fn may_be(&self, name: &str) -> bool {
        let plain = |name: &[u8]| -> Vec<u8> {
            let characters = name.iter().filter(|c| c.is_ascii_alphanumeric());
            characters.map(u8::to_ascii_lowercase).collect()
        };
        self.function.is_none_or(|function| {
            let (function, name) = (plain(function), plain(name.as_bytes()));
            // OpenSSL writes SHA2-256.
            let bits = function.strip_prefix(b"sha2");
            function == name || bits.is_some_and(|bits| [b"sha", bits].concat() == name)
        })
    }
}

/// Lists the sums of an image in a file, in order. `image` is its name in a URL: the file may
/// contain it encoded or decoded. Unreadable lines, in any encoding, are skipped.
pub(super) fn of_image<'a>(file: &'a [u8], image: &str) -> impl Iterator<Item = Sum<'a>> {
    let file = file.strip_prefix(BYTE_ORDER_MARK).unwrap_or(file);
    let mut lines = file
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .peekable();
    let first = lines.next();
    let lone = first
        .filter(|_| lines.peek().is_none())
        .and_then(|line| sum(line, None));
    let names = [image.as_bytes().to_vec(), percent_decoded(image.as_bytes())];
    let lines = first.into_iter().chain(lines);
    let named = lines
        .filter(|line| !line.starts_with(b"#"))
        .filter_map(move |line| of_line(line, &names));
    lone.into_iter().chain(named)
}

fn of_line<'a>(line: &'a [u8], names: &[Vec<u8>]) -> Option<Sum<'a>> {
    let is_image = |name: &[u8]| {
        let name = name.rsplit(|byte| *byte == b'/').next().unwrap_or(name);
        names.iter().any(|known| known == name)
    };
    // `<digits>  <name>` or `<digits> *<name>`.
    if let Some(at) = line.iter().position(u8::is_ascii_whitespace)
        && let Some((digits, rest)) = line.split_at_checked(at)
    {
        let name = rest.trim_ascii_start();
        if let Some(sum) = sum(digits, None) {
            return is_image(name.strip_prefix(b"*").unwrap_or(name)).then_some(sum);
        }
    }
    // `SHA256 (<name>) = <digits>`; OpenSSL writes no space before its parenthesis.
    let open = line.iter().position(|byte| *byte == b'(')?;
    let close = line.iter().rposition(|byte| *byte == b')')?;
    let name = line.get(open + 1..close)?;
    let digits = line.get(close + 1..)?.trim_ascii_start();
    let digits = digits.strip_prefix(b"=")?.trim_ascii_start();
    let function = line.get(..open)?.trim_ascii();
    is_image(name).then(|| sum(digits, Some(function)))?
}

fn sum<'a>(digits: &'a [u8], function: Option<&'a [u8]>) -> Option<Sum<'a>> {
    let is_sum = digits.len() >= MIN_LEN && digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_sum)?;
    Some(Sum { digits, function })
}

/// Decodes percent-encoding.
fn percent_decoded(mut text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    while let Some((&byte, rest)) = text.split_first() {
        let digit = |at: usize| char::from(*rest.get(at)?).to_digit(16);
        let decoded = match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => u8::try_from(high << 4 | low).ok(),
            _ => None,
        };
        plain.push(decoded.unwrap_or(byte));
        text = match decoded {
            Some(_) => rest.get(2..).unwrap_or_default(),
            None => rest,
        };
    }
    plain
}

/// Length of MD5's digits; no supported function has fewer.
const MIN_LEN: usize = 32;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(file: &[u8], image: &str) -> Vec<String> {
        let sums = of_image(file, image);
        sums.map(|sum| sum.digits.to_owned()).collect()
    }

    #[test]
    fn a_file_is_searched_for_the_image() {
        let (good, other) = ("a".repeat(64), "b".repeat(64));
        let files = [
            good.clone(),
            format!("\n{good}\n"),
            format!("# comment disk.img\n{other}  old-disk.img\n{good}  disk.img\n"),
            format!("{good} *disk.img\r\n{other} *disk.img.sig\r\n"),
            format!("SHA256 (other.img) = {other}\nSHA256 (disk.img) = {good}\n"),
            format!("SHA2-256(./disk.img)= {good}\n"),
            format!("{good}  ./disk.img\n"),
            format!("\u{feff}{good}  disk.img\n{other}  b.img\n"),
            format!("\u{feff}{good}\n"),
        ];
        for file in files {
            assert_eq!(found(file.as_bytes(), "disk.img"), [&*good], "{file}");
        }
        for file in [
            "",
            "short",
            "xyz disk.img",
            &format!("{other}  diskXimg\nx y"),
            &format!("{other}\n{other}\n"),
            &format!("SHA256 disk.img) = {other}"),
            &format!("SHA256 )disk.img( = {other}"),
        ] {
            assert_eq!(found(file.as_bytes(), "disk.img"), [""; 0], "{file}");
        }
    }

    #[test]
    fn lines_in_other_encodings_hide_no_others() {
        let good = "a".repeat(64);
        let file = [
            &b"# Pr\xfcfsummen\n"[..],
            &[0xff; 70],
            b"\n",
            format!("{good}  gr\u{f6}\u{df}e 1.img\n").as_bytes(),
            format!("{good}  ").as_bytes(),
            b"caf\xe9.img\n",
        ]
        .concat();
        for image in ["gr%C3%B6%c3%9fe%201.img", "caf%E9.img"] {
            assert_eq!(found(&file, image), [&*good], "{image}");
        }
        // A name that contains such characters itself, and invalid encodings.
        for name in ["a%20b", "100%", "%zz", "%"] {
            let file = format!("{good}  {name}\n{good}  x\n");
            assert_eq!(found(file.as_bytes(), name), [&*good], "{name}");
        }
    }

    #[test]
    fn the_name_of_a_function_is_known_in_its_spellings() {
        let digits = "a";
        let of = |function: &'static str| {
            let function = Some(function.as_bytes());
            Sum { digits, function }
        };
        for (function, name) in [
            ("SHA256", "sha256"),
            ("SHA2-256", "sha256"),
            ("SHA3-256", "sha3_256"),
            ("SHA512/256", "sha512_256"),
            ("SHA2-512/256", "sha512_256"),
            ("BLAKE2b", "blake2b"),
            ("SHA224", "sha224"),
            ("MD5", "md5"),
        ] {
            assert!(of(function).may_be(name), "{function} {name}");
        }
        for (function, name) in [
            ("SHA3-256", "sha256"),
            ("SHA256", "sha3_256"),
            ("SHA512/256", "sha256"),
            ("", "sha256"),
        ] {
            assert!(!of(function).may_be(name), "{function} {name}");
        }
        let function = None;
        assert!(Sum { digits, function }.may_be("sha256"));
    }

    proptest! {
        #[test]
        fn any_file_is_read(file in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = found(&file, "disk%20.img");
        }
    }
}
