//! Terminal modes of a `pty-req` (RFC 4254, section 8) put on a terminal the way OpenSSH does (`ttymodes.c`).

use rustix::termios::{ControlModes, InputModes, LocalModes, OutputModes, SpecialCodeIndex, Termios};

/// A character that stands for "none".
const NONE: u32 = 255;

/// Puts the modes on. Unknown numbers are ignored, as there.
pub(super) fn apply(termios: &mut Termios, modes: &[(u8, u32)]) {
    for (mode, value) in modes {
        let on = *value != 0;
        match mode {
            128 | 129 => speed(termios, *mode, *value),
            1..=18 => {
                if let Some(at) = character(*mode) {
                    let byte = if *value == NONE { 0 } else { u8::try_from(*value).unwrap_or(0) };
                    termios.special_codes[at] = byte;
                }
            }
            30..=42 => {
                if let Some(flag) = input(*mode) {
                    termios.input_modes.set(flag, on);
                }
            }
            50..=62 => {
                if let Some(flag) = local(*mode) {
                    termios.local_modes.set(flag, on);
                }
            }
            70..=75 => {
                if let Some(flag) = output(*mode) {
                    termios.output_modes.set(flag, on);
                }
            }
            90..=93 => {
                if let Some(flag) = control(*mode) {
                    termios.control_modes.set(flag, on);
                }
            }
            _ => {}
        }
    }
}

fn speed(termios: &mut Termios, mode: u8, value: u32) {
    // A speed that the terminal does not know is not set.
    let _ = if mode == 128 { termios.set_input_speed(value) } else { termios.set_output_speed(value) };
}

fn character(mode: u8) -> Option<SpecialCodeIndex> {
    Some(match mode {
        1 => SpecialCodeIndex::VINTR,
        2 => SpecialCodeIndex::VQUIT,
        3 => SpecialCodeIndex::VERASE,
        4 => SpecialCodeIndex::VKILL,
        5 => SpecialCodeIndex::VEOF,
        6 => SpecialCodeIndex::VEOL,
        7 => SpecialCodeIndex::VEOL2,
        8 => SpecialCodeIndex::VSTART,
        9 => SpecialCodeIndex::VSTOP,
        10 => SpecialCodeIndex::VSUSP,
        12 => SpecialCodeIndex::VREPRINT,
        13 => SpecialCodeIndex::VWERASE,
        14 => SpecialCodeIndex::VLNEXT,
        16 => SpecialCodeIndex::VSWTC,
        18 => SpecialCodeIndex::VDISCARD,
        _ => return None,
    })
}

fn input(mode: u8) -> Option<InputModes> {
    Some(match mode {
        30 => InputModes::IGNPAR,
        31 => InputModes::PARMRK,
        32 => InputModes::INPCK,
        33 => InputModes::ISTRIP,
        34 => InputModes::INLCR,
        35 => InputModes::IGNCR,
        36 => InputModes::ICRNL,
        37 => InputModes::IUCLC,
        38 => InputModes::IXON,
        39 => InputModes::IXANY,
        40 => InputModes::IXOFF,
        41 => InputModes::IMAXBEL,
        42 => InputModes::IUTF8,
        _ => return None,
    })
}

fn local(mode: u8) -> Option<LocalModes> {
    Some(match mode {
        50 => LocalModes::ISIG,
        51 => LocalModes::ICANON,
        52 => LocalModes::XCASE,
        53 => LocalModes::ECHO,
        54 => LocalModes::ECHOE,
        55 => LocalModes::ECHOK,
        56 => LocalModes::ECHONL,
        57 => LocalModes::NOFLSH,
        58 => LocalModes::TOSTOP,
        59 => LocalModes::IEXTEN,
        60 => LocalModes::ECHOCTL,
        61 => LocalModes::ECHOKE,
        62 => LocalModes::PENDIN,
        _ => return None,
    })
}

fn output(mode: u8) -> Option<OutputModes> {
    Some(match mode {
        70 => OutputModes::OPOST,
        71 => OutputModes::OLCUC,
        72 => OutputModes::ONLCR,
        73 => OutputModes::OCRNL,
        74 => OutputModes::ONOCR,
        75 => OutputModes::ONLRET,
        _ => return None,
    })
}

fn control(mode: u8) -> Option<ControlModes> {
    Some(match mode {
        90 => ControlModes::CS7,
        91 => ControlModes::CS8,
        92 => ControlModes::PARENB,
        93 => ControlModes::PARODD,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rustix::{
        pty::{OpenptFlags, grantpt, openpt, unlockpt},
        termios::{OptionalActions, tcgetattr, tcsetattr},
    };

    use super::*;

    #[test]
    fn a_real_terminal_takes_the_modes_of_a_request() {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let mut termios = tcgetattr(&master).unwrap();
        assert!(termios.local_modes.contains(LocalModes::ECHO));
        let modes =
            [(53, 0), (3, 8), (2, NONE), (42, 1), (36, 0), (128, 9600), (129, 9600), (200, 1), (0, 1)];
        apply(&mut termios, &modes);
        tcsetattr(&master, OptionalActions::Now, &termios).unwrap();
        let now = tcgetattr(&master).unwrap();
        assert!(!now.local_modes.contains(LocalModes::ECHO));
        assert!(now.local_modes.contains(LocalModes::ICANON));
        assert!(now.input_modes.contains(InputModes::IUTF8));
        assert!(!now.input_modes.contains(InputModes::ICRNL));
        assert_eq!(now.special_codes[SpecialCodeIndex::VERASE], 8);
        assert_eq!(now.special_codes[SpecialCodeIndex::VQUIT], 0);
        assert_eq!(now.output_speed(), 9600);
    }
}
