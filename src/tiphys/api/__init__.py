"""What do the objects look like on the wire, what are the defaults, what is invalid, what are all names, reasons and messages?"""
