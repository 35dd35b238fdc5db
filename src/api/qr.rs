//! QR codes of links: as text for terminals, as a picture for pages.
//!
//! What a link leads to is not known here, and nothing is remembered of it.

use qrcodegen::{QrCode, QrCodeEcc};
use std::fmt::Write;

/// Empty modules around the code; the standard asks for four (ISO/IEC 18004, 9.1).
const QUIET: i32 = 4;

/// A link that a camera can read.
pub struct Code(QrCode);

impl Code {
    /// The code of a text; `None` when it is longer than any code, some 2900 bytes.
    pub fn of(text: &str) -> Option<Code> {
        QrCode::encode_text(text, QrCodeEcc::Low).ok().map(Code)
    }

    /// How many modules a side has, the quiet zone included.
    fn side(&self) -> i32 {
        self.0.size() + 2 * QUIET
    }

    /// Whether a module is dark. Outside of the code everything is light.
    fn is_dark(&self, x: i32, y: i32) -> bool {
        self.0.get_module(x - QUIET, y - QUIET)
    }

    /// The code in half blocks, two modules above each other in one character. Blocks are the light
    /// modules: with colours they are white on black whatever the terminal's own colours are, and
    /// without, where escapes would be noise, it is right for the usual light text on a dark ground.
    pub fn to_terminal(&self, coloured: bool) -> String {
        let (begin, end) = if coloured { ("\x1b[40;97m", "\x1b[0m\n") } else { ("", "\n") };
        let mut text = String::new();
        for y in (0..self.side()).step_by(2) {
            text.push_str(begin);
            for x in 0..self.side() {
                // The sides are odd: what is below the last line is as light as the zone around.
                text.push(match (self.is_dark(x, y), self.is_dark(x, y + 1)) {
                    (false, false) => '█',
                    (false, true) => '▀',
                    (true, false) => '▄',
                    (true, true) => ' ',
                });
            }
            text.push_str(end);
        }
        text
    }

    /// The code as a picture of its own, dark on light also on a dark page.
    pub fn to_svg(&self) -> String {
        let side = self.side();
        let mut path = String::new();
        for y in 0..side {
            for x in (0..side).filter(|x| self.is_dark(*x, y)) {
                let _ = write!(path, "M{x} {y}h1v1h-1z");
            }
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
             <path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path fill=\"#000\" d=\"{path}\"/></svg>\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "http://192.168.178.123:8222/claim#3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    /// Reads a picture as a phone does; `is_dark` says what a module is.
    fn read(side: usize, is_dark: impl Fn(usize, usize) -> bool) -> String {
        const SCALE: usize = 4;
        let grey = |x, y| if is_dark(x / SCALE, y / SCALE) { 0 } else { 255 };
        let mut picture = rqrr::PreparedImage::prepare_from_greyscale(side * SCALE, side * SCALE, grey);
        let found = picture.detect_grids();
        assert_eq!(found.len(), 1, "one code is seen");
        found[0].decode().expect("the code can be read").1
    }

    #[test]
    fn a_camera_reads_the_link_from_a_terminal_of_any_colours() {
        let code = Code::of(LINK).unwrap();
        let plain = code.to_terminal(false);
        let lines: Vec<Vec<char>> = plain.lines().map(|line| line.chars().collect()).collect();
        let side = lines[0].len();
        assert!(side <= 45 && lines.len() <= 23, "it fits a terminal of 80 by 24: {side}x{}", lines.len());
        let is_dark = |x: usize, y: usize| match lines[y / 2][x] {
            '█' => false,
            ' ' => true,
            '▀' => y % 2 == 1,
            '▄' => y % 2 == 0,
            other => panic!("{other:?} is no half block"),
        };
        assert_eq!(read(side, is_dark), LINK);

        let coloured = code.to_terminal(true);
        for line in coloured.lines() {
            assert!(line.starts_with("\x1b[40;97m") && line.ends_with("\x1b[0m"), "{line:?}");
        }
        assert_eq!(coloured.replace("\x1b[40;97m", "").replace("\x1b[0m", ""), plain);
    }

    #[test]
    fn a_camera_reads_the_link_from_a_page() {
        let svg = Code::of(LINK).unwrap().to_svg();
        let side: usize = svg.split("0 0 ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        let dark: std::collections::HashSet<(usize, usize)> = svg
            .split('M')
            .filter_map(|piece| {
                piece.strip_suffix("h1v1h-1z").or(piece.split_once("h1v1h-1z\"").map(|it| it.0))
            })
            .filter_map(|place| place.split_once(' '))
            .map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap()))
            .collect();
        assert_eq!(read(side, |x, y| dark.contains(&(x, y))), LINK);
        assert!(!svg.contains("style") && !svg.contains("script"), "a strict policy would stop it");
    }

    #[test]
    fn a_text_that_is_too_long_has_no_code() {
        assert!(Code::of(&"x".repeat(2900)).is_some());
        assert!(Code::of(&"x".repeat(3000)).is_none());
    }
}
