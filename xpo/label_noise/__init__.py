"""What labels are corrected for: an assumed rate at which they are flipped."""
