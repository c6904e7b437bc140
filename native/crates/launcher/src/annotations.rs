//! Finds a container's group in its `config.json`: a scanner that looks at the top-level `annotations` and steps over
//! everything else (docs/decisions/002). It is total: any bytes give an answer, and bytes that are no JSON give none.
//! It keeps no tree, doesn't recurse, and remembers nesting in one bit per level.

/// Annotations that name a group, the stronger first, as containerd's runc shim reads them.
const GROUP_KEYS: [&str; 2] = [
    "io.containerd.runc.v2.group",
    "io.kubernetes.cri.sandbox-id",
];

/// Deepest nesting followed; the runtime spec needs fewer than ten levels.
const DEEPEST: usize = 128;

/// Longest group taken. An id is at most 76 bytes at containerd; a group is one by convention.
const LONGEST_GROUP: usize = 255;

/// The group that the annotations of `config` name, if they name one. What has a slash is none: it would reach into the other
/// parts of the name that a keeper's socket is made from.
pub fn group(config: &[u8]) -> Option<String> {
    let mut found = [const { None }; GROUP_KEYS.len()];
    let mut scan = Scan {
        bytes: config,
        at: 0,
    };
    let mut first = true;
    scan.expect(b'{')?;
    while let Some(key) = scan.next_key(&mut first)? {
        if key == "annotations" && scan.peek()? == b'{' {
            scan.annotations(&mut found)?;
        } else {
            scan.skip_value()?;
        }
    }
    scan.end()?;
    found.into_iter().flatten().find(|group: &String| {
        !group.is_empty() && group.len() <= LONGEST_GROUP && !group.contains('/')
    })
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn annotations(&mut self, found: &mut [Option<String>; GROUP_KEYS.len()]) -> Option<()> {
        let mut first = true;
        self.expect(b'{')?;
        while let Some(key) = self.next_key(&mut first)? {
            match GROUP_KEYS.iter().position(|known| *known == key) {
                Some(index) if self.peek()? == b'"' => found[index] = Some(self.string()?),
                _ => self.skip_value()?,
            }
        }
        Some(())
    }

    /// The next key of an object whose brace has been read, with its colon; `Some(None)` at the object's end.
    fn next_key(&mut self, first: &mut bool) -> Option<Option<String>> {
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(None);
        }
        if !std::mem::replace(first, false) {
            self.expect(b',')?;
        }
        let key = self.string()?;
        self.expect(b':')?;
        Some(Some(key))
    }

    /// Steps over one value of any kind.
    fn skip_value(&mut self) -> Option<()> {
        // Bit n of `objects`: what is open at depth n is an object (else an array).
        let (mut objects, mut depth) = (0u128, 0usize);
        loop {
            match self.peek()? {
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    if depth == DEEPEST {
                        return None;
                    }
                    objects = if open == b'{' {
                        objects | (1 << depth)
                    } else {
                        objects & !(1 << depth)
                    };
                    depth += 1;
                    let close = if open == b'{' { b'}' } else { b']' };
                    if self.peek()? != close {
                        if open == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                }
                b'"' => self.skip_string()?,
                _ => self.literal()?,
            }
            // A value has ended: close what it ends, or go on to the next member.
            loop {
                if depth == 0 {
                    return Some(());
                }
                let object = objects & (1 << (depth - 1)) != 0;
                match (self.peek()?, object) {
                    (b'}', true) | (b']', false) => {
                        self.at += 1;
                        depth -= 1;
                    }
                    (b',', _) => {
                        self.at += 1;
                        if object {
                            self.key()?;
                        }
                        break;
                    }
                    _ => return None,
                }
            }
        }
    }

    fn key(&mut self) -> Option<()> {
        self.peek()?;
        self.skip_string()?;
        self.expect(b':')
    }

    /// A number, `true`, `false` or `null`.
    fn literal(&mut self) -> Option<()> {
        let start = self.at;
        while let Some(b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'-' | b'.') =
            self.bytes.get(self.at)
        {
            self.at += 1;
        }
        match &self.bytes[start..self.at] {
            b"true" | b"false" | b"null" => Some(()),
            [b'-' | b'0'..=b'9', ..] => Some(()),
            _ => None,
        }
    }

    fn skip_string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        loop {
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => {
                    self.next()?;
                }
                _ => {}
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        self.expect(b'"')?;
        let mut text = Vec::new();
        loop {
            match self.next()? {
                b'"' => return String::from_utf8(text).ok(),
                b'\\' => {
                    let plain = match self.next()? {
                        plain @ (b'"' | b'\\' | b'/') => plain,
                        b'b' => 8,
                        b'f' => 12,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'u' => {
                            let mut utf8 = [0; 4];
                            text.extend_from_slice(
                                self.unicode()?.encode_utf8(&mut utf8).as_bytes(),
                            );
                            continue;
                        }
                        _ => return None,
                    };
                    text.push(plain);
                }
                0..=31 => return None,
                byte => text.push(byte),
            }
        }
    }

    /// What follows `\u`, with the second half of a surrogate pair.
    fn unicode(&mut self) -> Option<char> {
        let first = self.four_hex()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        if self.next()? != b'\\' || self.next()? != b'u' {
            return None;
        }
        let second = self.four_hex()?;
        if !(0xdc00..0xe000).contains(&second) {
            return None;
        }
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
    }

    fn four_hex(&mut self) -> Option<u32> {
        let mut value = 0;
        for _ in 0..4 {
            value = value * 16 + char::from(self.next()?).to_digit(16)?;
        }
        Some(value)
    }

    /// Nothing but white space is left.
    fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        if self.peek()? != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// The next byte that is no white space, left unread.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_app_container_belongs_to_its_pod() {
        let config = br#" {"ociVersion":"1.1.0","process":{"args":["a","b"],"n":[{},[],{"x":1.5e3}]},
            "annotations":{"io.kubernetes.cri.container-type":"container","io.kubernetes.cri.sandbox-id":"pod1"},"linux":null} "#;
        assert_eq!(group(config).as_deref(), Some("pod1"));
    }

    #[test]
    fn the_runc_group_is_stronger_than_the_sandbox() {
        let config = br#"{"annotations":{"io.kubernetes.cri.sandbox-id":"pod","io.containerd.runc.v2.group":"g"}}"#;
        assert_eq!(group(config).as_deref(), Some("g"));
    }

    #[test]
    fn only_the_top_level_counts() {
        let config =
            br#"{"process":{"annotations":{"io.containerd.runc.v2.group":"no"}},"annotations":{}}"#;
        assert_eq!(group(config), None);
    }

    #[test]
    fn escapes_are_read_as_json_means_them() {
        let config =
            br#"{"annotations":{"io.containerd.runc.v2.gr\u006fup":"a\u00e9\ud83d\ude00\n"}}"#;
        assert_eq!(group(config).as_deref(), Some("aé😀\n"));
    }

    #[test]
    fn what_is_no_json_names_no_group() {
        let good = br#"{"annotations":{"io.containerd.runc.v2.group":"g"},"x":[1,{"y":"\\"}]}"#;
        assert!(group(good).is_some());
        for end in 0..good.len() {
            assert_eq!(group(&good[..end]), None, "cut at {end}");
        }
        for bad in [
            "",
            "[]",
            "null",
            "{}x",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{\"a\":[1}]}",
            "{\"a\":tru}",
        ] {
            assert_eq!(group(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn deep_nesting_ends_without_an_answer() {
        let deep = format!("{{\"a\":{}", "[".repeat(1 << 20));
        assert_eq!(group(deep.as_bytes()), None);
    }

    #[test]
    fn a_group_longer_than_an_id_is_none() {
        let config = format!(
            r#"{{"annotations":{{"io.containerd.runc.v2.group":"{}"}}}}"#,
            "x".repeat(256)
        );
        assert_eq!(group(config.as_bytes()), None);
    }

    /// JSON of all kinds, written with white space where it may stand.
    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            "-?[1-9][0-9]{0,5}(\\.[0-9]{1,3})?",
            "\"([a-z{}\\[\\],: ]|\\\\\"|\\\\\\\\|\\\\u00[0-7]f){0,12}\"",
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5)
                    .prop_map(|items| format!("[ {} ]", items.join(" ,"))),
                prop::collection::vec(("[a-z]{1,6}", inner), 0..5).prop_map(|items| {
                    let members: Vec<_> = items
                        .iter()
                        .map(|(key, value)| format!("\"{key}\" :{value}"))
                        .collect();
                    format!("{{{}\n}}", members.join(",\t"))
                }),
            ]
        })
    }

    #[test]
    fn a_path_names_no_group() {
        assert_eq!(
            group(br#"{"annotations":{"io.kubernetes.cri.sandbox-id":"a/b"}}"#),
            None
        );
    }

    proptest! {
        #[test]
        fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = group(&bytes);
        }

        #[test]
        fn damaged_json_gets_an_answer(value in json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut config = format!(r#"{{"b":{value},"annotations":{value}}}"#).into_bytes();
            let index = at.index(config.len());
            config[index] = byte;
            let _ = group(&config);
        }

        #[test]
        fn the_group_is_found_whatever_stands_around_it(before in json(), beside in json(), after in json(), id in "[a-z0-9]{1,64}") {
            let config = format!(
                r#"{{"before":{before},"annotations":{{"beside":{beside},"io.kubernetes.cri.sandbox-id":"{id}"}},"after":{after}}}"#
            );
            prop_assert_eq!(group(config.as_bytes()), Some(id));
        }
    }
}
