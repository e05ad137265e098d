"""Where the stub is known to differ from Kamailio 5.6.3; each is in docs/conformance.md too."""

# what `repr([function, *arguments])` matches in full, and why the answers are not compared
KNOWN_DIFFERENCES: dict[str, str] = {
    r".*\{nameaddr\.uri\}.*": "of a broken name-addr 5.6.3 gives a piece, the stub nothing",
    r"\['siputils\.cmp_hdr_name'.*": "different names: -1 on one side, -2 on the other",
    r"\['pv\.\w+', '\$hu'.*": "the URL of an HTTP request: read on a SIP message it differs",
    r"\['pv\.get', '\$dp'\]": "of a broken $du: 5060 on 5.6.3, empty on the stub",
    r".*\{s\.int\}.*": "of some texts that are no number: 0 on 5.6.3, null on the stub",
    r"\['pv\.geti'.*": "5.6.3 reads the digits at the start of a text, the stub gives 0",
}
