//! What the board's shell is told, in words that dash, bash and busybox understand.

use std::borrow::Cow;

use crate::Error;
use crate::destination::Destination;
use crate::files::File;

/// Where files are kept, below the folder on the board.
const OBJECTS: &str = "skipgate-objects";

/// Stands before each part of what [`look`] prints.
pub(crate) const SECTION: &str = "== ";
/// Stands before what a program prints whose output is taken apart: a shell may greet before it.
pub(crate) const BEGIN: &str = "== output";

/// `text` as one word for a shell.
pub(crate) fn quote(text: &str) -> Result<Cow<'_, str>, Error> {
    shlex::try_quote(text).map_err(|_| Error::NotText(text.to_owned()))
}

/// Goes to the folder on the board.
fn enter(destination: &Destination) -> Result<String, Error> {
    Ok(format!("cd -- {} || exit 1; ", quote(&destination.folder)?))
}

/// Makes the folder and prints everything that is asked of the machine, and which of `files` are there. What is there is
/// hashed again where the board can, so that a damaged file is sent anew; what nobody needed for a month is removed.
pub(crate) fn look(destination: &Destination, files: &[&File]) -> Result<String, Error> {
    let folder = quote(&destination.folder)?;
    let hashes: Vec<_> = files.iter().map(|file| file.digest.sha256.as_str()).collect();
    Ok(format!(
        r#"umask 077
mkdir -p -- {folder} && cd -- {folder} && mkdir -p {OBJECTS} || exit 1
echo "{SECTION}kind"; uname -m
echo "{SECTION}processor"; cat /proc/cpuinfo
echo "{SECTION}memory"; cat /proc/meminfo
echo "{SECTION}load"; cat /proc/loadavg
echo "{SECTION}allowed"; cat /proc/self/status
echo "{SECTION}disk"; df -Pk .
echo "{SECTION}taskset"; command -v taskset
echo "{SECTION}temperatures"; cat /sys/class/thermal/thermal_zone*/temp 2>/dev/null
echo "{SECTION}cooling"
for device in /sys/class/thermal/cooling_device*; do
  [ -r "$device/cur_state" ] && echo "$(cat "$device/cur_state" 2>/dev/null) $(cat "$device/type")"
done
echo "{SECTION}throttled"; cat /sys/devices/platform/soc/soc:firmware/get_throttled 2>/dev/null
for core in /sys/devices/system/cpu/cpu[0-9]*; do
  echo "{SECTION}core ${{core##*/cpu}}"
  for file in cpu_capacity cpufreq/scaling_governor cpufreq/cpuinfo_max_freq cpufreq/scaling_max_freq; do
    [ -r "$core/$file" ] && echo "${{file##*/}} $(cat "$core/$file")"
  done
done
echo "{SECTION}objects"
for hash in {}; do
  [ -f {OBJECTS}/$hash ] || continue
  touch {OBJECTS}/$hash
  echo "$hash $(sha256sum 2>/dev/null < {OBJECTS}/$hash)"
done
find {OBJECTS} -type f -mtime +30 -exec rm -f {{}} +
echo "{SECTION}end"
"#,
        hashes.join(" ")
    ))
}

/// Takes a file from standard input. It is only there under its name when it is whole.
pub(crate) fn receive(destination: &Destination, file: &File) -> Result<String, Error> {
    let enter = enter(destination)?;
    let (bytes, hash) = (file.digest.bytes, &file.digest.sha256);
    Ok(format!(
        "umask 077; {enter}new=$(mktemp {OBJECTS}/.new.XXXXXX) || exit 1; \
         trap 'rm -f \"$new\"' EXIT; trap 'exit 1' HUP INT PIPE TERM; \
         cat > \"$new\" || exit 1; found=$(wc -c < \"$new\"); \
         [ \"$found\" -eq {bytes} ] || {{ echo \"received $found of {bytes} bytes\" >&2; exit 1; }}; \
         chmod 700 \"$new\" && mv -f \"$new\" {OBJECTS}/{hash}"
    ))
}

/// What a run needs to know.
pub(crate) struct Run<'a> {
    pub(crate) destination: &'a Destination,
    pub(crate) files: &'a [&'a File],
    /// The program, with what comes before and after it, ready for a shell.
    pub(crate) command: String,
    /// The file that is printed behind what the program printed.
    pub(crate) fetched: Option<&'a str>,
    /// Whether what the program prints is taken apart.
    pub(crate) is_read: bool,
    /// Whether standard input is the program's own. If not, its end is the end of the program: that is how a board notices
    /// that nobody waits any more, since ssh tells it nothing else.
    pub(crate) reads_input: bool,
}

/// Lays out a temporary folder, runs the program in it and removes it, in whatever way the program or the connection ends.
pub(crate) fn run(run: &Run) -> Result<String, Error> {
    // Where the connection is gone, a shell that says how its program ended gets SIGPIPE, and would leave the folder behind.
    let put: String = run.files.iter().map(|file| put(file)).collect::<Result<_, _>>()?;
    let begin = if run.is_read { format!("echo '{BEGIN}'; ") } else { String::new() };
    let command = &run.command;
    let wait = if run.reads_input {
        format!("{command}; status=$?; ")
    } else {
        // A shell gives what it runs in the background no standard input, so that is kept under another number.
        format!(
            "exec 3<&0; {command} </dev/null 3<&- & program=$!; \
             (read -r line; kill -TERM $program) <&3 >/dev/null 2>&1 & watcher=$!; exec 3<&-; \
             wait $program; status=$?; program=; kill $watcher 2>/dev/null; "
        )
    };
    let fetch = match run.fetched {
        Some(name) => format!("[ $status -ne 0 ] || cat -- {} || exit 1; ", quote(name)?),
        None => String::new(),
    };
    Ok(format!(
        "umask 077; {}base=$(pwd); run=$(mktemp -d skipgate-run.XXXXXX) || exit 1; \
         trap 'kill $program 2>/dev/null; rm -rf \"$base/$run\"' EXIT; trap 'exit 143' HUP INT PIPE TERM; cd \"$run\" || exit 1; \
         put() {{ mkdir -p -- \"$(dirname -- \"$2\")\" && \
         {{ ln \"$base/{OBJECTS}/$1\" \"$2\" 2>/dev/null || cp \"$base/{OBJECTS}/$1\" \"$2\"; }} || exit 1; }}; \
         {put}{begin}{wait}{fetch}exit $status",
        enter(run.destination)?
    ))
}

fn put(File { name, digest, .. }: &File) -> Result<String, Error> {
    Ok(format!("put {} {}; ", digest.sha256, quote(name)?))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_word_survives_a_shell() {
        for text in
            ["a b", "it's", "$(touch x)", "`x`", "a\"b", "a\\b", "*", "", "!x", "~", "a\nb", "-n", "ä"]
        {
            let script = format!("printf %s {}", quote(text).unwrap());
            // As ssh hands it on: once more as a word.
            let outer = format!("exec sh -c {}", quote(&script).unwrap());
            let printed = Command::new("sh").args(["-c", &outer]).output().unwrap();
            assert_eq!(String::from_utf8(printed.stdout).unwrap(), text);
        }
        assert!(quote("a\0b").is_err());
    }
}
