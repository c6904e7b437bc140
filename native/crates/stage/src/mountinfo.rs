//! Lines of /proc/<pid>/mountinfo (proc_pid_mountinfo(5)).

/// What one line says, as far as it is used. Type, source and options stand as in the file, with its octal escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountLine {
    pub id: u64,
    pub root: String,
    pub point: String,
    pub readonly: bool,
    pub fs_type: String,
    pub source: String,
    pub super_options: String,
}

/// Lines that don't have the form are left out.
pub fn parse(text: &str) -> Vec<MountLine> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<MountLine> {
    let mut fields = line.split(' ');
    let id = fields.next()?.parse().ok()?;
    let mut fields = fields.skip(2);
    let root = fields.next()?;
    let point = fields.next()?;
    let options = fields.next()?;
    let mut tail = fields.skip_while(|field| *field != "-").skip(1);
    let text = |field: &str| String::from_utf8_lossy(&unescape(field)).into_owned();
    Some(MountLine {
        id,
        root: text(root),
        point: text(point),
        readonly: options.split(',').any(|option| option == "ro"),
        fs_type: tail.next()?.to_owned(),
        source: tail.next().unwrap_or_default().to_owned(),
        super_options: tail.next().unwrap_or_default().to_owned(),
    })
}

/// The kernel writes blank, tab, newline, backslash and '#' as three octal digits.
pub fn unescape(field: &str) -> Vec<u8> {
    let bytes = field.as_bytes();
    let mut text = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let octal = bytes.get(at + 1..at + 4).filter(|_| bytes[at] == b'\\');
        match octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|d| u8::from_str_radix(d, 8).ok())
        {
            Some(byte) => {
                text.push(byte);
                at += 4;
            }
            None => {
                text.push(bytes[at]);
                at += 1;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_as_the_kernel_escapes_them() {
        assert_eq!(unescape("/a\\040b\\134c"), b"/a b\\c");
        assert_eq!(unescape("/plain\\"), b"/plain\\");
        assert_eq!(unescape("\\9zz"), b"\\9zz");
    }

    #[test]
    fn a_line_with_optional_fields_is_read() {
        let line = "36 35 98:0 /mnt1 /mnt\\0402 ro,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue";
        assert_eq!(
            parse(line),
            [MountLine {
                id: 36,
                root: "/mnt1".into(),
                point: "/mnt 2".into(),
                readonly: true,
                fs_type: "ext3".into(),
                source: "/dev/root".into(),
                super_options: "rw,errors=continue".into(),
            }]
        );
    }

    #[test]
    fn a_broken_line_is_left_out() {
        assert!(parse("36 35 98:0 /mnt1\n\nx").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_fail(text in "\\PC{0,200}") {
            parse(&text);
        }
    }
}
