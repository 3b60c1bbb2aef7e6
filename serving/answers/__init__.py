"""An answer on its way out: whole or streamed, with its headers, recorded before it leaves."""
