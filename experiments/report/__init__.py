"""What people see: terminal screens and JSON."""
